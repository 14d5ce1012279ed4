import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StepRecord } from '../../src/training/reporter.js';
import { Workplace } from './command.js';

const worlds = [1, 2, 3];
const place = new Workplace();
afterAll(() => place.clear());

const recipe = [
  ...['launch', '--backend', 'wasm', '--set', 'accumulate=2', '--set', 'distributed.bucketBytes=40000'],
  ...['--set', 'optimizer={name: adamw, weightDecay: 0.05, skipDecay: true, clipNorm: 0.5}'],
  ...['--set', 'learningRate={schedule: constant, rate: 0.002}'],
];

describe('AdamW with clipping, accumulation and many buckets on 1, 2 and 3 workers', () => {
  beforeAll(async () => {
    for (const workers of worlds) {
      const flags = ['--workers', String(workers), '--epochs', '1', '--out', `w${workers}`];
      const ended = await place.run(...recipe, ...flags);
      expect(ended, ended.stderr).toMatchObject({ code: 0 });
    }
  }, 120_000);

  it('takes the same steps', () => {
    const [single, ...others] = worlds.map((workers) => place.metrics(`w${workers}`).steps);
    expect(single.length).toBe(8);
    expect(single[0].loss).toBeGreaterThan(single[7].loss);
    for (const steps of others) {
      expect(steps.length).toBe(8);
      steps.forEach(({ loss }, step) =>
        expect(Math.abs(loss - single[step].loss) / single[step].loss).toBeLessThan(1e-4),
      );
    }
  });

  it('goes on from a checkpoint with another number of workers', async () => {
    const losses: StepRecord[][] = [];
    for (const [run, workers] of [
      ['w3', 2],
      ['w2', 2],
    ] as const) {
      const flags = ['--workers', String(workers), '--epochs', '2', '--resume', '--out', run];
      const ended = await place.run(...recipe, ...flags);
      expect(ended, ended.stderr).toMatchObject({ code: 0 });
      losses.push(place.metrics(run).steps.slice(8, 14));
    }
    expect(losses[0].map(({ step }) => step)).toEqual([8, 9, 10, 11, 12, 13]);
    losses[0].forEach(({ loss }, at) =>
      expect(Math.abs(loss - losses[1][at].loss) / loss).toBeLessThan(1e-3),
    );
  }, 60_000);
});
