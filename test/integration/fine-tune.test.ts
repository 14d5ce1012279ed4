import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findCheckpoint } from '../../src/checkpoint/checkpoints.js';
import type { Checkpoint } from '../../src/checkpoint/checkpoint.js';
import { Workplace } from './command.js';

const place = new Workplace();
afterAll(() => place.clear());

const model = 'model={name: small-cnn, dim: 12, channels: [6, 8, 8], strides: [1, 2, 1], batchNorm: true}';
const base = [model, 'batchSize=160'];

async function checkpointOf(run: string): Promise<Checkpoint> {
  return (await findCheckpoint(place.path(run))).checkpoint;
}

/** Weights of the layers whose names match. */
function weightsOf({ slots, weights }: Checkpoint, layers: RegExp): number[] {
  return slots
    .filter(({ name }) => layers.test(name))
    .flatMap(({ offset, size }) => [...weights.subarray(offset, offset + size)]);
}

describe('a run that starts from another, with frozen layers and rates per layer', () => {
  let before: Checkpoint;
  const after: Checkpoint[] = [];

  beforeAll(async () => {
    await place.train(1, [...base, 'epochs=1'], { out: 'base' });
    before = await checkpointOf('base');
    const tuned = [
      ...[...base, `init={from: ${place.path('base')}, skip: [features]}`],
      ...['freeze=[conv1, bn2]', 'rates=[{match: conv4, factor: 0.1}]'],
      ...['distributed={bitwise: 4, bucketBytes: 2000}', 'optimizer={name: adamw, weightDecay: 0.1}'],
      ...['learningRate={schedule: constant, rate: 0.002}'],
    ];
    await place.train(4, [...tuned, 'distributed.overlap=on', 'epochs=2'], { out: 'w4' });
    await place.train(1, [...tuned, 'epochs=1'], { out: 'w1' });
    await place.train(2, [...tuned, 'epochs=2'], { out: 'w1', resume: 'start' });
    for (const run of ['w4', 'w1']) after.push(await checkpointOf(run));
  });

  it('keeps the bits of frozen layers and their statistics, and trains the others at their rates', () => {
    for (const checkpoint of after) {
      expect(weightsOf(checkpoint, /^(conv1|bn2)\//)).toEqual(weightsOf(before, /^(conv1|bn2)\//));
      expect(checkpoint.moving.subarray(0, 12)).toEqual(before.moving.subarray(0, 12));
      expect(checkpoint.moving.subarray(12)).not.toEqual(before.moving.subarray(12));
      const moved = (layer: RegExp) => {
        const [own, others] = [before, checkpoint].map((one) => weightsOf(one, layer));
        return Math.hypot(...own.map((value, at) => value - others[at]));
      };
      expect(moved(/^conv4\//)).toBeGreaterThan(0);
      expect(moved(/^conv4\//)).toBeLessThan(0.3 * moved(/^conv7\//));
    }
  });

  it('gives the same bits with 4 workers as with 1 and then 2 from its checkpoint', () => {
    expect(place.report('w4').weightsSha256).toBe(place.report('w1').weightsSha256);
  });
});
