import { describe, expect, it } from 'vitest';
import type { ConfigInput } from '../../src/config/schema.js';
import { run } from '../collective/ranks.js';

const recipe = {
  backend: 'wasm',
  data: { name: 'digits' },
  model: { name: 'small-cnn', dim: 8, channels: [8, 16, 16], strides: [1, 2, 1], batchNorm: true },
  learningRate: { schedule: 'constant', rate: 0.05 },
} satisfies ConfigInput;

/** Runs a scenario of steps; returns the results by rank. */
async function resultsOf<T>(
  scenario: string,
  {
    worldSize = 2,
    distributed = {},
    ...rest
  }: { worldSize?: number; distributed?: object; optimizer: object },
  options: object = {},
): Promise<T[]> {
  const config = { ...recipe, ...rest, distributed: { bucketBytes: 2048, ...distributed } };
  const outcomes = await run({ worldSize, transport: 'ipc', scenario, config, ...options });
  return outcomes.map((outcome) => {
    expect(outcome?.error).toBeUndefined();
    return outcome?.result as T;
  });
}

interface Updates {
  buckets: number;
  distance: number;
  moved: boolean;
  stepped: string;
  blocking: string;
  unsharded: string;
}

const sgd = { momentum: 0.9, nesterov: true, weightDecay: 0.01 };
const lars = { name: 'lars', nesterov: true, trust: 0.02, weightDecay: 0.01, skipDecay: true };
const cases: [string, { worldSize?: number; micros?: number; optimizer: object; distributed?: object }][] = [
  ['Nesterov', { optimizer: sgd }],
  ['Nesterov on 3 ranks', { optimizer: sgd, worldSize: 3 }],
  ['AdamW', { optimizer: { name: 'adamw', weightDecay: 0.05, skipDecay: true } }],
  ['LARS', { optimizer: lars }],
  ['LARS with clipping on 3 ranks', { optimizer: { ...lars, clipNorm: 0.01 }, worldSize: 3 }],
  ['clipping', { optimizer: { ...sgd, clipNorm: 0.01 } }],
  ['three micro-batches an update', { optimizer: sgd, micros: 3 }],
  ['clipping and two micro-batches', { optimizer: { ...sgd, clipNorm: 0.01 }, micros: 2 }],
  ['bf16 on the wire of 3 ranks', { optimizer: sgd, distributed: { wire: 'bf16' }, worldSize: 3 }],
  ['one bucket', { optimizer: sgd, distributed: { bucketBytes: 1_000_000 } }],
];

describe.each(['on', 'off'])('TrainingStep on several ranks with overlap %s', (overlap) => {
  it.each(cases)('gives the bits of steps without overlap: %s', async (_name, setting) => {
    const { micros = 1, ...rest } = setting;
    const distributed = { ...rest.distributed, overlap };
    const ranks = await resultsOf<Updates>('updates', { ...rest, distributed }, { updates: 5, micros });
    const [{ buckets, stepped }] = ranks;
    expect(buckets > 5).toBe(setting.distributed === undefined || 'wire' in setting.distributed);
    for (const rank of ranks) expect(rank).toMatchObject({ stepped, blocking: stepped, moved: true });
    const exact =
      rest.worldSize === undefined && rest.optimizer === sgd && !('wire' in (rest.distributed ?? {}));
    for (const { unsharded, distance } of ranks)
      if (exact) expect(unsharded).toBe(stepped);
      else expect(distance).toBeLessThan('wire' in (rest.distributed ?? {}) ? 2e-2 : 1e-5);
  });

  it.each([{}, { clipNorm: 0.01 }])(
    'lets evaluation between steps see complete weights, with %j',
    async (changes) => {
      const optimizer = { ...sgd, ...changes };
      const ranks = await resultsOf<{ weights: string }[]>('between', {
        optimizer,
        distributed: { overlap },
      });
      expect(ranks[0]).toHaveLength(4);
      for (const seen of ranks[0])
        expect(seen).toMatchObject({ evaluated: true, inModel: true, moved: true });
      expect(ranks[1]).toEqual(ranks[0]);
    },
  );

  it("fails with the parameter's name on the rank of a NaN gradient, and at the gather's deadline on the other rank", async () => {
    const options = { timeoutMs: 3000 };
    const setting = { optimizer: sgd, distributed: { overlap } };
    const [other, owner] = await resultsOf<Record<string, unknown>>('broken', setting, options);
    expect(owner).toMatchObject({ code: 'GRADIENT_NOT_FINITE', update: 3 });
    expect(owner.message).toBe(
      `the gradient of ${String(owner.name)}, element 6, is NaN in step 2: lower learningRate.rate, or look for broken images`,
    );
    expect(other).toMatchObject({ code: 'COLLECTIVE_TIMEOUT', update: 3 });
    expect(other.message).toMatch(
      /^rank 0 has waited 3 s in allGather 'weights\/\d+' \(collective \d+\) for rank 1$/,
    );
  });
});

describe('a started collective', () => {
  it('adds to waitedMs only if the caller waits for it', async () => {
    const about = { worldSize: 2, transport: 'ipc', scenario: 'started', length: 3_000_000 } as const;
    const outcomes = await run(about);
    for (const outcome of outcomes) {
      const { waited, sums } = outcome?.result as { waited: number[]; sums: boolean[] };
      expect(sums).toEqual([true, true]);
      expect(waited[0]).toBe(0);
      expect(waited[1]).toBeGreaterThan(1);
    }
  });
});
