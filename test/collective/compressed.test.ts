import { describe, expect, it } from 'vitest';
import { run } from './ranks.js';

interface Result {
  first: number;
  mean: number;
  digest: string;
}

describe('bf16 on the wire', () => {
  it.each([
    [2, false, undefined],
    [3, false, undefined],
    [3, true, undefined],
    [4, false, ['a', 'a', 'b', 'b']],
    [4, true, ['a', 'b', 'a', 'b']],
  ])(
    'keeps rounding errors small, and smaller in the mean over many rounds: %i ranks, reduce-scatter %s, hosts %s',
    async (worldSize, scatter, hosts) => {
      const options = {
        worldSize,
        transport: 'ipc',
        scenario: 'compressed',
        length: 100_003,
        hosts,
      } as const;
      const outcomes = await run({ ...options, rounds: 64, scatter });
      const results = outcomes.map((outcome) => outcome?.result as Result);
      for (const { first, mean } of results) {
        expect(first).toBeGreaterThan(1e-4);
        // bf16 has 8 significant bits: each of N roundings of a value below N / 2 errs by at most N / 2 / 2^8.
        expect(first).toBeLessThan((worldSize * worldSize) / 2 / 2 ** 8);
        expect(mean).toBeLessThan(first / 16);
      }
      expect(new Set(results.map(({ digest }) => digest)).size).toBe(1);
    },
  );

  it('is rejected for other types and operations, and without a residual of equal length in the arena', async () => {
    const outcomes = await run({ worldSize: 2, transport: 'ipc', scenario: 'unsupported' });
    expect(outcomes).toEqual(new Array(2).fill({ result: new Array(5).fill('WIRE_UNSUPPORTED') }));
  });
});
