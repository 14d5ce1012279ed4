import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { Ranks, run } from './ranks.js';

/** On either side of a message of 16 KiB, and of a window of 1 MiB, with uneven tails. */
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
    'are made by the compute threads, exactly, on %i ranks with %i bytes in messages',
    async (worldSize, pipeBytes) => {
      const about = { worldSize, transport: 'ipc', scenario: 'direct', lengths, rounds: 4 } as const;
      const outcomes = await run({ ...about, thresholds: { pipeBytes }, timeoutMs: 60_000 });
      expect(outcomes).toEqual(new Array(worldSize).fill({ result: 3 * 4 * lengths.length }));
    },
  );

  it.each([
    ['over tcp', { transport: 'tcp' }],
    ['across hosts', { transport: 'ipc', hosts: ['a', 'a', 'b'] }],
    ['under the check', { transport: 'ipc', checkCollectives: true }],
  ] as const)('are not %s', async (_where, about) => {
    const hosts = 'hosts' in about ? [...about.hosts] : undefined;
    const outcomes = await run({ worldSize: 3, scenario: 'direct', lengths, rounds: 1, ...about, hosts });
    expect(outcomes).toEqual(new Array(3).fill({ result: 0 }));
  });

  it('go on while long ones are under way, in both halves of the files by turns', async () => {
    const about = { worldSize: 3, transport: 'ipc', scenario: 'bothStreams' } as const;
    const outcomes = await run({
      ...about,
      long: [1_000_003, 65_537],
      short: [1, 300_001, 16_384],
      rounds: 5,
    });
    expect(outcomes).toEqual(new Array(3).fill({}));
  });

  it.each([0, 1e9])(
    'of doubles and of the largest are the same on all ranks, %i bytes in messages',
    async (pipeBytes) => {
      const about = { worldSize: 4, scenario: 'directBits', length: 200_003, transport: 'ipc' } as const;
      const outcomes = await run({ ...about, thresholds: { pipeBytes } });
      expect(new Set(outcomes.map((outcome) => outcome?.result)).size).toBe(1);
      expect(outcomes[0]?.result).toMatch(/^[0-9a-f]{64},/);
    },
  );

  it.each([10, 3000])('have the bits of the engine where they are few, %i numbers', async (length) => {
    const about = { worldSize: 4, scenario: 'directBits', length } as const;
    const [direct, engine] = [
      await run({ ...about, transport: 'ipc' }),
      await run({ ...about, transport: 'tcp', thresholds: { directBytes: 1e9 } }),
    ];
    expect(new Set([...direct, ...engine].map((outcome) => outcome?.result)).size).toBe(1);
    expect(direct[0]?.result).toMatch(/^[0-9a-f]{64},/);
  });
});

describe('a blocked sum on one host', () => {
  it('ends where a rank is killed, and so does all after it', async () => {
    const ranks = await Ranks.start({ worldSize: 3, transport: 'ipc', scenario: 'directVictim' });
    await once(ranks.processes[1], 'message');
    ranks.processes[1].kill('SIGKILL');
    const outcomes = await ranks.end();
    for (const rank of [0, 2]) {
      const lost = `PEER_LOST: rank ${rank} has lost the connection to rank 1`;
      expect(outcomes[rank]).toEqual({ result: [lost, lost, lost] });
    }
  });

  it('ends at its deadline where a rank is stopped', async () => {
    const about = { worldSize: 3, transport: 'ipc', scenario: 'directVictim', own: 1500 } as const;
    const ranks = await Ranks.start(about);
    await once(ranks.processes[1], 'message');
    ranks.processes[1].kill('SIGSTOP');
    const others = await Promise.all([ranks.outcomes[0], ranks.outcomes[2]]);
    ranks.processes[1].kill('SIGKILL');
    await ranks.end();
    const late = (rank: number) =>
      `COLLECTIVE_TIMEOUT: rank ${rank} has waited 1.5 s in allReduce 'bn' (collective 101) for rank 1`;
    expect(others).toEqual([0, 2].map((rank) => ({ result: new Array(3).fill(late(rank)) })));
  });
});
