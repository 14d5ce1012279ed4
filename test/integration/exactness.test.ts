import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { evaluationSchema, type Evaluation } from '../../src/evaluation/schema.js';
import { backends, Workplace } from './command.js';

const worlds = [1, 2, 3, 4];
const place = new Workplace();
afterAll(() => place.clear());

/** Largest relative difference between two series. */
function difference(actual: readonly number[], expected: readonly number[]): number {
  expect(actual.length).toBe(expected.length);
  return Math.max(...actual.map((value, index) => Math.abs(value - expected[index]) / expected[index]));
}

describe.each(backends)('the digits recipe on %s with 1, 2, 3 and 4 workers', (backend) => {
  const nameOf = (workers: number) => `${backend}-${workers}`;
  beforeAll(async () => {
    for (const workers of worlds)
      await place.train(workers, ['epochs=2', `backend=${backend}`], { out: nameOf(workers) });
  });

  it('has losses within 1e-4 of one worker in each of the first 30 steps', () => {
    const single = place.metrics(nameOf(1)).steps;
    expect(single.length).toBe(30);
    for (const workers of worlds.slice(1)) {
      const { steps } = place.metrics(nameOf(workers));
      for (const key of ['loss', 'nac', 'delta'] as const) {
        const series = [steps, single].map((all) => all.map((step) => step[key] as number));
        expect(difference(series[0], series[1]), `${key} of ${workers} workers`).toBeLessThan(1e-4);
      }
    }
  });

  it('evaluates every test image once', () => {
    for (const workers of worlds) {
      for (const epoch of place.metrics(nameOf(workers)).epochs) expect(epoch.evalTotal).toBe(360);
    }
  });

  it('has the same centroids', () => {
    expect(new Set(worlds.map((workers) => place.report(nameOf(workers)).centroidsSha256)).size).toBe(1);
  });

  it('gives equal bits when 1, 2 or 3 workers evaluate a checkpoint', async () => {
    const evaluations: Evaluation[] = [];
    // Two workers evaluated the checkpoint at the end of training.
    for (const workers of [1, 3]) {
      const ended = await place.ask(
        ...['evaluate', '--checkpoint', nameOf(2), '--workers', String(workers)],
        ...['--backend', backend, '--json'],
      );
      evaluations.push(evaluationSchema.parse(JSON.parse(ended.stdout)));
    }
    for (const other of evaluations.slice(1)) expect(other).toEqual(evaluations[0]);
    const last = place.metrics(nameOf(2)).epochs[1];
    expect(evaluations[0]).toMatchObject({ total: 360, correct: last.evalCorrect });
    expect(evaluations[0].confusion.reduce((sum, count) => sum + count, 0)).toBe(360);
    expect(evaluations[0].plane.x).toHaveLength(360);
    expect(evaluations[0]).toEqual(place.evaluation(nameOf(2)));
  });
});

describe('local batch-norm statistics', () => {
  it('give other losses than synchronised statistics', async () => {
    for (const statistics of ['synchronised', 'local'])
      await place.train(2, ['epochs=1', `batchNorm.statistics=${statistics}`], { out: statistics });
    const [first, second] = ['synchronised', 'local'].map((run) => place.metrics(run).steps[0].loss);
    expect(Math.abs(first - second) / first).toBeGreaterThan(1e-4);
  });
});
