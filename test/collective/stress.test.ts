import { describe, expect, it } from 'vitest';
import { run } from './ranks.js';

/** Lengths from 4 bytes to 4 MB, around every change of algorithm, with uneven tails. */
const lengths = [1, 2, 3, 7, 16, 1000, 4097, 21_845, 65_537, 131_073, 262_145, 393_217, 1_000_003];
const algorithms = {
  exchange: { directBytes: 1e9, ringBytes: 1e9, hierarchicalBytes: 1e9 },
  scatter: { directBytes: 0, ringBytes: 1e9, hierarchicalBytes: 1e9 },
  ring: { directBytes: 0, ringBytes: 0, hierarchicalBytes: 1e9 },
  halving: { directBytes: 0, ringBytes: 0, hierarchicalBytes: 1e9, algorithm: 'halving-doubling' },
  hierarchical: { directBytes: 0, ringBytes: 500_000, hierarchicalBytes: 0 },
} as const;

function compared(sizes: readonly number[], rounds: number): number {
  return sizes.reduce((sum, length) => sum + 2 * length * rounds, 0);
}

describe('an all-reduce of random data that is overwritten as soon as a call ends', () => {
  it.each([
    [2, 'ipc', 2],
    [3, 'tcp', 2],
    [5, 'ipc', 1],
    [8, 'ipc', 1],
  ] as const)('sums exactly on %i ranks over %s', async (worldSize, transport, rounds) => {
    const outcomes = await run({ worldSize, transport, scenario: 'stress', lengths, rounds });
    expect(outcomes).toEqual(new Array(worldSize).fill({ result: compared(lengths, rounds) }));
  });

  it.each(['exchange', 'scatter', 'ring'] as const)('sums exactly by %s alone', async (algorithm) => {
    const sizes = [1, 5, 1000, 65_537, 300_001];
    const thresholds = algorithms[algorithm];
    const outcomes = await run({
      worldSize: 4,
      transport: 'ipc',
      scenario: 'stress',
      lengths: sizes,
      rounds: 2,
      thresholds,
    });
    expect(outcomes).toEqual(new Array(4).fill({ result: compared(sizes, 2) }));
  });

  it.each([
    ['two hosts of two', ['a', 'a', 'b', 'b']],
    ['two hosts, ranks alternating', ['a', 'b', 'a', 'b']],
    ['three hosts of two', ['a', 'a', 'b', 'b', 'c', 'c']],
    ['two hosts of three, ranks mixed', ['a', 'b', 'b', 'a', 'b', 'a']],
    ['hosts of one, two and three', ['a', 'b', 'b', 'c', 'c', 'c']],
  ])('sums exactly by the hierarchical algorithm: %s', async (_name, hosts) => {
    const sizes = [1, 5, 1000, 65_537, 300_001];
    const outcomes = await run({
      worldSize: hosts.length,
      hosts,
      transport: 'ipc',
      scenario: 'stress',
      lengths: sizes,
      rounds: 1,
      thresholds: algorithms.hierarchical,
    });
    expect(outcomes).toEqual(new Array(hosts.length).fill({ result: compared(sizes, 1) }));
  });

  it.each([
    ['halving alone', 5, algorithms.halving],
    ['halving between four hosts of two', 8, { ...algorithms.halving, hierarchicalBytes: 0 }],
  ])('sums exactly by %s', async (_name, worldSize, thresholds) => {
    const sizes = [1, 5, 1000, 65_537, 300_001, 700_001];
    const hosts = Array.from({ length: worldSize }, (_, rank) =>
      worldSize > 5 ? `host ${rank >> 1}` : 'here',
    );
    const about = { worldSize, transport: 'ipc', scenario: 'stress', lengths: sizes, rounds: 2 } as const;
    const outcomes = await run({ ...about, hosts, thresholds });
    expect(outcomes).toEqual(new Array(worldSize).fill({ result: compared(sizes, 2) }));
  });

  it('sums 100 MB exactly', async () => {
    const sizes = [25_000_000];
    const outcomes = await run({
      worldSize: 2,
      transport: 'ipc',
      scenario: 'stress',
      lengths: sizes,
      rounds: 1,
    });
    expect(outcomes).toEqual(new Array(2).fill({ result: compared(sizes, 1) }));
  });
});
