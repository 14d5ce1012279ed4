import { describe, expect, it } from 'vitest';
import { configSchema } from '../../src/config/schema.js';
import { isStopped, judgeEpoch } from '../../src/training/early-stop.js';

type Judged = ReturnType<typeof judgeEpoch>;

const stopOf = (stop: object) =>
  configSchema.parse({
    data: { name: 'digits' },
    model: { name: 'small-cnn' },
    learningRate: { schedule: 'constant', rate: 1 },
    stop,
  }).stop;

/** Number of epochs that a run trains if its epochs have these values. */
function trained(values: readonly number[], settings: object): number {
  const stop = stopOf(settings);
  const metrics = { evalAccuracy: NaN, meanCosine: NaN, trainLoss: NaN };
  let judged: Judged;
  for (const [index, value] of values.entries()) {
    judged = judgeEpoch(judged, { ...metrics, [stop.metric]: value }, stop);
    if (isStopped(judged, stop)) return index + 1;
  }
  return values.length;
}

describe('judgeEpoch and isStopped', () => {
  it.each<[what: string, epochs: number, values: number[], settings: object]>([
    ['train all epochs without patience', 4, [5, 4, 3, 2], {}],
    ['stop after `patience` epochs without improvement', 4, [0.5, 0.7, 0.6, 0.7, 0.9], { patience: 2 }],
    ['count from 0 again after an improvement', 6, [0.5, 0.4, 0.6, 0.5, 0.7, 0.6], { patience: 2 }],
    [
      'ask for an improvement of more than minDelta',
      3,
      [0.5, 0.59, 0.6, 0.9],
      { patience: 2, minDelta: 0.1 },
    ],
    ['minimise trainLoss', 4, [3, 2, 2.5, 2.2, 1], { patience: 2, metric: 'trainLoss' }],
    ['maximise meanCosine', 3, [0.3, 0.2, 0.1, 1], { patience: 2, metric: 'meanCosine' }],
    ['skip epochs whose value is NaN', 5, [NaN, NaN, 0.5, NaN, 0.4, 0.9], { patience: 1 }],
  ])('%s', (_, epochs, values, settings) => {
    expect(trained(values, settings)).toBe(epochs);
  });

  it('start again when the metric changes', () => {
    const before = { metric: 'trainLoss', best: 0, since: 9 } as const;
    const stop = stopOf({ patience: 3, metric: 'evalAccuracy' });
    expect(isStopped(before, stop)).toBe(false);
    const metrics = { trainLoss: 1, evalAccuracy: 0.5, meanCosine: 0 };
    expect(judgeEpoch(before, metrics, stop)).toEqual({ metric: 'evalAccuracy', best: 0.5, since: 0 });
  });
});
