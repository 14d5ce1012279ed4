import { describe, expect, it } from 'vitest';
import { intervalOf, retentionOf } from '../../src/config/checkpoint-schema.js';
import { loadConfig } from '../../src/config/load.js';
import { configSchema } from '../../src/config/schema.js';

const checkpointOf = (...set: string[]) =>
  loadConfig({ set: set.map((one) => `checkpoint.${one}`) }).checkpoint;

describe('checkpoint.every', () => {
  it.each([
    ['3', 3, 'epochs'],
    ['500 steps', 500, 'steps'],
    ['1 step', 1, 'steps'],
    ['10 min', 10, 'minutes'],
    ['10minutes', 10, 'minutes'],
    ['2 epochs', 2, 'epochs'],
  ])('reads %s', (text, count, unit) => {
    expect(intervalOf(checkpointOf(`every=${text}`))).toEqual({ count, unit });
  });

  it.each([
    ['500 stps', '; did you mean 500 steps?'],
    ['10 mins', '; did you mean 10 min?'],
    ['0 steps', ''],
    ['often', ''],
    ['[1]', ''],
  ])('rejects %s in one line', (text, hint) => {
    expect(() => checkpointOf(`every=${text}`)).toThrow(
      `checkpoint.every: must be epochs, or such as 500 steps, 10 min, 1 epoch${hint}`,
    );
  });
});

describe('checkpoint.keep', () => {
  it.each([
    [['keep=3'], { last: 3, best: [{ count: 1, metric: 'evalAccuracy' }], everyEpochs: 0 }],
    [['keep=0', 'keepBest=0'], { last: 0, best: [], everyEpochs: 0 }],
    [['keep=last 2'], { last: 2, best: [], everyEpochs: 0 }],
    [['keep=best 2'], { last: 1, best: [{ count: 2, metric: 'evalAccuracy' }], everyEpochs: 0 }],
    [
      ['keep=[last 3, best 2, every 10 epochs]'],
      { last: 3, best: [{ count: 2, metric: 'evalAccuracy' }], everyEpochs: 10 },
    ],
    [
      ['keep=[best 2 by meanCosine, best 1]', 'keepBest=4'],
      {
        last: 1,
        best: [
          { count: 1, metric: 'evalAccuracy' },
          { count: 2, metric: 'meanCosine' },
        ],
        everyEpochs: 0,
      },
    ],
    [
      ['keep=every 5 epochs', 'keepBest=4'],
      { last: 1, best: [{ count: 4, metric: 'evalAccuracy' }], everyEpochs: 5 },
    ],
  ])('reads %j', (set, rules) => {
    expect(retentionOf(checkpointOf(...set))).toEqual(rules);
  });

  it.each([
    ['lst 3', '; did you mean last 3?'],
    ['every 10', '; did you mean every 10 epochs?'],
    ['best 2 by meanCosin', '; did you mean best 2 by meanCosine?'],
    ['many', ''],
    ['{}', ''],
  ])('rejects %s in one line', (text, hint) => {
    expect(() => checkpointOf(`keep=${text}`)).toThrow(
      `must be how many stay (0: all), or last 3, best 2, every 10 epochs, or a list of these${hint}`,
    );
  });

  it('stays as given in a configuration that is written and read again', () => {
    const config = loadConfig({ set: ['checkpoint={every: 20 min, keep: [last 2, best 1]}'] });
    expect(configSchema.parse(JSON.parse(JSON.stringify(config)))).toEqual(config);
  });
});
