import { beforeAll, describe, expect, it } from 'vitest';
import { LocalCommunicator } from '../../src/collective/local-communicator.js';
import type { Communicator, Numbers } from '../../src/collective/communicator.js';
import { losses, type LossConfig } from '../../src/losses/index.js';
import * as tf from '../../src/tf/index.js';
import * as onRank from './fixtures/loss-on-rank.js';
import type { OnRank } from './fixtures/loss-on-rank.js';

const { batch, dim, features, labels } = onRank;
const counts = [4, batch - 4];

/** A rank whose all-reduces add `others`, the values of the other rank, call by call; `own` are its own values. */
function rankBeside(others: readonly Numbers[]): { communicator: Communicator; own: Numbers[] } {
  const own: Numbers[] = [];
  const allReduceSync = (values: Numbers) => {
    const call = own.push(values.slice()) - 1;
    others[call]?.forEach((value, index) => (values[index] += value));
  };
  return { communicator: Object.assign(new LocalCommunicator(), { allReduceSync }), own };
}

function compute(
  config: LossConfig,
  counts: readonly number[],
  rank: number,
  communicator: Communicator,
): OnRank {
  const loss = onRank.createLoss(config, communicator);
  const found = onRank.computeOn(loss, undefined, { counts, rank, features });
  loss.dispose?.();
  return found;
}

const alone = (config: LossConfig) => compute(config, [batch], 0, new LocalCommunicator());

/** The loss on two ranks: the first round records what each rank gives to its all-reduces, the second adds it. */
function together(config: LossConfig): OnRank[] {
  let sums: Numbers[][] = [[], []];
  let results: OnRank[] = [];
  for (let round = 0; round < 2; round++) {
    const ranks = [0, 1].map((rank) => rankBeside(sums[1 - rank]));
    results = ranks.map(({ communicator }, rank) => compute(config, counts, rank, communicator));
    sums = ranks.map(({ own }) => own);
  }
  return results;
}

function expectClose(actual: readonly number[], expected: readonly number[], tolerance = 2e-5): void {
  expect(actual.length).toBe(expected.length);
  const size = Math.max(...expected.map(Math.abs), 1e-9);
  actual.forEach((value, index) => expect(Math.abs(value - expected[index]) / size).toBeLessThan(tolerance));
}

describe('POD Loss', () => {
  beforeAll(() => tf.setBackend('cpu'));

  it.each([
    ['norm', 4],
    ['mean', 1],
  ])(
    'grows delta after epoch 3 by schedule %s to scale times the mean norm times %i',
    async (schedule, times) => {
      const config = losses.schema.parse({
        name: 'pod',
        delta: { schedule, scale: 0.5, source: 'features' },
      });
      const loss = onRank.createLoss(config, new LocalCommunicator());
      onRank.computeOn(loss, undefined, { counts: [batch], rank: 0, features });
      await loss.state?.afterEpoch(3, batch);
      const mean = features.reduce((sum, row) => sum + Math.hypot(...row), 0) / batch;
      expect(loss.state?.values[0]).toBeCloseTo(0.5 * times * mean, 5);
      loss.dispose?.();
    },
  );

  it('leaves the self-correlation out with sc: off and computes it per rank with sc: local', () => {
    const config = (sc: string) => losses.schema.parse({ name: 'pod', lambda: 0.7, sc });
    const whole = alone(config('global'));
    const off = alone(config('off'));
    expect(off.values.parts).toEqual({ nac: whole.values.parts.nac, sc: 0 });
    expect(off.values.loss).toBe(off.values.parts.nac);
    expectClose(alone(config('local')).features, whole.features, 1e-6);

    const ranks = together(config('local'));
    const parts = [
      [0, 4],
      [4, batch],
    ].map(([start, end]) => {
      const centroids = onRank.centroidSource();
      const residuals = features.slice(start, end).map((z, row) => {
        const own = centroids.rows([labels[start + row]]);
        const size = Math.hypot(...z);
        return z.map((value, at) => value / size - own[at]);
      });
      let sum = 0;
      for (let i = 0; i < dim; i++) {
        for (let j = 0; j < dim; j++) {
          const c = residuals.reduce((total, u) => total + u[i] * u[j], 0) / (end - start - 1);
          if (i !== j) sum += c * c;
        }
      }
      return ((end - start) / batch) * (sum / (dim - 1));
    });
    for (const { values } of ranks) {
      expectClose([values.parts.sc as number], [parts[0] + parts[1]]);
      expectClose([values.loss], [(whole.values.parts.nac as number) + 0.7 * (parts[0] + parts[1])]);
    }
  });
});
