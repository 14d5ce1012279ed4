import { afterAll, describe, expect, it } from 'vitest';
import { Workplace } from './command.js';

const place = new Workplace();
afterAll(() => place.clear());

const model = 'model={name: small-cnn, channels: [4, 8, 8], dim: 8}';
const recipe = [model, 'batchSize=480', 'checkpoint.every=10', 'checkpoint.keep=0'];
/** No loss ever improves by minDelta, so the run stops after three epochs. */
const stopping = [...recipe, 'epochs=9', 'stop={metric: trainLoss, patience: 2, minDelta: 100}'];

describe('a run that is stopped early', () => {
  it('ends with report, full evaluation and checkpoint', async () => {
    await place.train(2, stopping, { out: 'run' });
    expect(place.report('run').epochs).toBe(3);
    expect(place.metrics('run').epochs.length).toBe(3);
    expect(place.evaluation('run').epochs).toBe(3);
    expect(place.checkpoints('run')).toEqual(['epoch-0003']);
  });

  it('rejects --resume, and continues with more patience', async () => {
    const refused = await place.ask('launch', '--resume', '--out', 'run', '--backend', 'wasm');
    expect(refused).toMatchObject({ code: 2 });
    expect(refused.lastLine).toMatch(/ended early, after 3 of 9 epochs.*larger stop.patience/);
    await place.train(1, ['stop.patience=3'], { out: 'run', resume: 'must' });
    expect(place.report('run').epochs).toBe(4);
  });

  it('ends at the same epoch when it continues from a checkpoint', async () => {
    await place.train(1, [...stopping, 'epochs=2'], { out: 'parts' });
    await place.train(2, ['epochs=9'], { out: 'parts', resume: 'must' });
    expect(place.report('parts').epochs).toBe(3);
  });
});
