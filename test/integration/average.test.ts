import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { initBackend } from '../../src/backend/index.js';
import { findCheckpoint } from '../../src/checkpoint/checkpoints.js';
import type { Evaluation } from '../../src/evaluation/schema.js';
import { exportCheckpoint } from '../../src/export/index.js';
import { Workplace } from './command.js';

const place = new Workplace();
afterAll(() => place.clear());

const decay = 0.9;
const recipe = [
  'epochs=2',
  'model={name: small-cnn, channels: [4, 8, 8], dim: 8, batchNorm: true}',
  'batchSize=240',
  'distributed.bitwise=4',
];
const averaged = [...recipe, `ema.decay=${decay}`];

const shasOf = (run: string) => {
  const { weightsSha256, averageSha256 } = place.report(run);
  return { weightsSha256, averageSha256 };
};

/** Weights, averaged weights and statistics of a checkpoint. */
async function valuesOf(run: string, epoch: number) {
  const { checkpoint } = await findCheckpoint(place.path(run, 'checkpoints', `epoch-000${epoch}`));
  const { weights, moving, state } = checkpoint;
  const { average } = state;
  return { checkpoint, weights, moving, average };
}

describe('the average of the weights', () => {
  beforeAll(async () => {
    await place.train(2, averaged, { out: 'run' });
    await place.train(1, recipe, { out: 'plain' });
  });

  it('does not change the trained weights', () => {
    const { weightsSha256, averageSha256 } = shasOf('run');
    expect(averageSha256).toMatch(/^[0-9a-f]{64}$/);
    expect(averageSha256).not.toBe(weightsSha256);
    expect(shasOf('plain')).toEqual({ weightsSha256 });
  });

  it('averages the weights and statistics of every step', async () => {
    // A batch of 2000 gives one step per epoch.
    const steps = ['epochs=3', 'batchSize=2000', 'ema={decay: 0.9, warmup: false}', 'checkpoint.keep=0'];
    await place.train(2, [...recipe, ...steps], { out: 'steps' });
    const seen = [];
    for (const epoch of [1, 2, 3]) seen.push((await valuesOf('steps', epoch)).checkpoint);
    const half = seen[0].moving.length / 2;
    const of = [
      seen.map(({ weights, state }) => [weights, state.average as Float32Array]),
      seen.map(({ moving }) => [moving.subarray(0, half), moving.subarray(half)]),
    ];
    for (const pairs of of) {
      const wanted = Float64Array.from(pairs[0][0]);
      for (const [step, [values, average]] of pairs.entries()) {
        if (step > 0) values.forEach((value, at) => (wanted[at] += (1 - decay) * (value - wanted[at])));
        average.forEach((value, at) => expect(Math.abs(value - wanted[at])).toBeLessThan(1e-6));
      }
      expect(pairs[2][0]).not.toEqual(pairs[2][1]);
    }
  });

  it('is used by evaluations and exports, unless the trained weights are chosen', async () => {
    const evaluated = async (...args: string[]) => {
      const { stdout, stderr, code } = await place.ask('evaluate', '--checkpoint', 'run', '--json', ...args);
      expect(code, stderr).toBe(0);
      return JSON.parse(stdout) as Evaluation;
    };
    expect(await evaluated()).toEqual(place.evaluation('run'));
    const trained = await evaluated('--weights', 'trained');
    expect(trained).toEqual(place.evaluation('plain'));
    expect(trained.correlation).not.toEqual(place.evaluation('run').correlation);

    await initBackend('cpu');
    const { checkpoint, average, weights } = await valuesOf('run', 2);
    const { slots } = checkpoint;
    const bias = slots.find(({ name }) => name.includes('features/bias')) ?? slots[slots.length - 1];
    for (const [choice, values] of [
      ['average', average as Float32Array],
      ['trained', weights],
    ] as const) {
      const files = await exportCheckpoint(checkpoint, 'safetensors', choice);
      const { parts } = files.find(({ name }) => name === 'model.safetensors') as (typeof files)[number];
      const wanted = values.slice(bias.offset, bias.offset + bias.size);
      expect(Buffer.concat(parts).includes(Buffer.from(wanted.buffer))).toBe(true);
    }
  });

  it('continues from a checkpoint with another number of workers, and starts at the weights in a run without one', async () => {
    await place.train(2, [...averaged, 'epochs=1'], { out: 'resumed' });
    await place.train(1, averaged, { out: 'resumed', resume: 'must' });
    expect(shasOf('resumed')).toEqual(shasOf('run'));
    await place.train(1, [...averaged, 'epochs=3'], { out: 'plain', resume: 'must' });
    const before = await valuesOf('plain', 2);
    const after = await valuesOf('plain', 3);
    expect(before.average).toBeUndefined();
    const distance = (one: Float32Array, other: Float32Array) =>
      Math.hypot(...one.map((value, at) => value - other[at]));
    const { weights, average } = after;
    expect(distance(average as Float32Array, weights)).toBeGreaterThan(0);
    expect(distance(average as Float32Array, weights)).toBeLessThan(distance(before.weights, weights));
    await place.train(1, [...recipe, 'epochs=4', 'ema={}'], { out: 'plain', resume: 'must' });
    expect((await valuesOf('plain', 4)).moving.length).toBe(before.moving.length);
  });
});
