import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { loadMemoryAddon } from '../../src/transport/host/memory-addon.js';
import { needs } from '../needs.js';
import { Ranks, run } from './ranks.js';

/** Ways by which compute threads exchange values: name, `sharesMemory`, options of the test. */
const ways = [
  ['through pipes and files', false, {}],
  ['in shared memory', true, needs('the module for shared memory', loadMemoryAddon())],
] as const;

/** Lengths around a message of 16 KiB and a window of 1 MiB, with uneven tails. */
const lengths = [0, 1, 7, 1000, 4095, 4096, 4097, 16_384, 262_143, 262_144, 262_145, 600_001];

describe('blocking collectives on one host', () => {
  it.each([
    [2, 49_152],
    [2, 0],
    [2, 1e9],
    [3, 49_152],
    [5, 0],
    [8, 49_152],
    [8, 1e9],
  ])(
    'sum exactly through pipes and files on %i ranks, with messages of up to %i bytes',
    async (worldSize, pipeBytes) => {
      const about = { worldSize, transport: 'ipc', scenario: 'direct', lengths, rounds: 2 } as const;
      const given = { ...about, sharesMemory: false, thresholds: { pipeBytes }, timeoutMs: 60_000 };
      const result = { calls: 3 * 2 * lengths.length, algorithm: 'two-shot' };
      expect(await run(given)).toEqual(new Array(worldSize).fill({ result }));
    },
  );

  it.each([2, 3, 4, 8])(
    'sum and broadcast exactly in shared memory on %i ranks',
    needs('the module for shared memory', loadMemoryAddon()),
    async (worldSize) => {
      const about = { worldSize, transport: 'ipc', scenario: 'direct', rounds: 2 } as const;
      const long = [...lengths, 1_000_003, 2_097_152];
      const result = { calls: 5 * 2 * long.length, algorithm: 'shared-memory' };
      const given = { ...about, lengths: long, timeoutMs: 60_000, broadcasts: true };
      const outcomes = await run(given);
      expect(outcomes).toEqual(new Array(worldSize).fill({ result }));
    },
  );

  it.each([
    ['over tcp', { transport: 'tcp' }],
    ['across hosts', { transport: 'ipc', hosts: ['a', 'a', 'b'] }],
    ['with checkCollectives', { transport: 'ipc', checkCollectives: true }],
  ] as const)('do not run in the compute threads %s', async (_where, about) => {
    const hosts = 'hosts' in about ? [...about.hosts] : undefined;
    const outcomes = await run({ worldSize: 3, scenario: 'direct', lengths, rounds: 1, ...about, hosts });
    for (const outcome of outcomes) expect(outcome?.result).toMatchObject({ calls: 0 });
  });

  it('sum exactly through files while long collectives of the bulk stream run', async () => {
    const about = { worldSize: 3, transport: 'ipc', scenario: 'bothStreams' } as const;
    const outcomes = await run({
      ...about,
      sharesMemory: false,
      long: [1_000_003, 65_537],
      short: [1, 300_001, 16_384],
      rounds: 3,
    });
    expect(outcomes).toEqual(new Array(3).fill({}));
  });

  it.each([0, 1e9])(
    'give equal bits on all ranks for float64 sums and maxima, with messages of up to %i bytes',
    async (pipeBytes) => {
      const about = { worldSize: 4, scenario: 'directBits', length: 200_003, transport: 'ipc' } as const;
      const outcomes = await run({ ...about, sharesMemory: false, thresholds: { pipeBytes } });
      expect(new Set(outcomes.map((outcome) => outcome?.result)).size).toBe(1);
      expect(outcomes[0]?.result).toMatch(/^[0-9a-f]{64},/);
    },
  );

  describe.each(ways)('%s', (_way, sharesMemory, options) => {
    it.each([10, 3000])(
      'give the bits of the engine for short arrays, %i numbers',
      options,
      async (length) => {
        const about = { worldSize: 4, scenario: 'directBits', length, sharesMemory } as const;
        const [direct, engine] = [
          await run({ ...about, transport: 'ipc' }),
          await run({ ...about, transport: 'tcp', thresholds: { directBytes: 1e9 } }),
        ];
        expect(new Set([...direct, ...engine].map((outcome) => outcome?.result)).size).toBe(1);
        expect(direct[0]?.result).toMatch(/^[0-9a-f]{64},/);
      },
    );
  });

  it(
    'give equal bits in shared memory and through files for long arrays',
    needs('the module for shared memory', loadMemoryAddon()),
    async () => {
      const about = { worldSize: 5, scenario: 'directBits', length: 300_001, transport: 'ipc' } as const;
      const outcomes = [await run(about), await run({ ...about, sharesMemory: false })].flat();
      expect(new Set(outcomes.map((outcome) => outcome?.result)).size).toBe(1);
    },
  );
});

describe.each(ways)('a blocking all-reduce on one host %s', (_way, sharesMemory, options) => {
  it('fails with PEER_LOST when a rank is killed, as do all later calls', options, async () => {
    const about = { worldSize: 3, transport: 'ipc', scenario: 'directVictim', sharesMemory } as const;
    const ranks = await Ranks.start(about);
    await once(ranks.processes[1], 'message');
    ranks.processes[1].kill('SIGKILL');
    const outcomes = await ranks.end();
    for (const rank of [0, 2]) {
      const lost = `PEER_LOST: rank ${rank} has lost the connection to rank 1`;
      expect(outcomes[rank]).toEqual({ result: [lost, lost, lost] });
    }
  });

  it('fails at its deadline when a rank is stopped, as do all later calls', options, async () => {
    const about = { worldSize: 3, transport: 'ipc', scenario: 'directVictim', own: 1500 } as const;
    const ranks = await Ranks.start({ ...about, sharesMemory });
    await once(ranks.processes[1], 'message');
    ranks.processes[1].kill('SIGSTOP');
    const others = await Promise.all([ranks.outcomes[0], ranks.outcomes[2]]);
    ranks.processes[1].kill('SIGKILL');
    await ranks.end();
    const late = (rank: number) =>
      `COLLECTIVE_TIMEOUT: rank ${rank} has waited 1.5 s in allReduce 'bn' (collective 101) for rank 1`;
    expect(others).toEqual([0, 2].map((rank) => ({ result: new Array(3).fill(late(rank)) })));
  });

  it('fails with both lengths when ranks give different lengths', options, async () => {
    const about = { worldSize: 3, transport: 'ipc', scenario: 'directMismatch', sharesMemory } as const;
    for (const outcome of await run({ ...about, timeoutMs: 5000 }))
      expect(outcome?.result).toMatch(
        /^COLLECTIVE_MISMATCH: rank . in allReduce '.' \(collective 4\) got from rank .: .*elements 1[02] instead of 1[02]/,
      );
  });
});
