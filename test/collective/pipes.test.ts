import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { Ranks, run } from './ranks.js';

/** On either side of a chunk of 16 KiB, up to the longest urgent call. */
const lengths = [0, 1, 7, 1000, 4095, 4096, 4097, 10_000, 16_384];

describe('short blocking sums on one host', () => {
  it.each([
    [2, 1e9, 9],
    [3, 1e9, 9],
    [5, 1e9, 9],
    [8, 1e9, 9],
    [2, 49_152, 8],
    [3, 49_152, 7],
    [8, 28_000, 4],
    [2, 0, 1],
  ])(
    'go over pipes and are exact on %i ranks that write up to %i bytes',
    async (worldSize, pipeBytes, count) => {
      const about = { worldSize, transport: 'ipc', scenario: 'piped', lengths, rounds: 10 } as const;
      const outcomes = await run({ ...about, thresholds: { pipeBytes }, timeoutMs: 60_000 });
      expect(outcomes).toEqual(new Array(worldSize).fill({ result: 10 * count }));
    },
  );

  it.each([
    ['over tcp', { transport: 'tcp' }],
    ['across hosts', { transport: 'ipc', hosts: ['a', 'a', 'b'] }],
    ['under the check', { transport: 'ipc', checkCollectives: true }],
    ['where none is urgent', { transport: 'ipc', thresholds: { urgentBytes: -1 } }],
  ] as const)('do not %s', async (_where, about) => {
    const hosts = 'hosts' in about ? [...about.hosts] : undefined;
    const outcomes = await run({ worldSize: 3, scenario: 'piped', lengths, rounds: 2, ...about, hosts });
    expect(outcomes).toEqual(new Array(3).fill({ result: 0 }));
  });

  it.each([10, 3000])('have the bits of the engine, %i numbers', async (length) => {
    const about = { worldSize: 4, scenario: 'pipedBits', length } as const;
    const [piped, engine] = [
      await run({ ...about, transport: 'ipc', thresholds: { pipeBytes: 1e9 } }),
      await run({ ...about, transport: 'tcp', thresholds: { directBytes: 1e9 } }),
    ];
    expect(new Set([...piped, ...engine].map((outcome) => outcome?.result)).size).toBe(1);
    expect(piped[0]?.result).toMatch(/^[\w+/=]{20},?/);
  });
});

describe('a blocked sum over pipes', () => {
  it('ends where a rank is killed, and so does all after it', async () => {
    const ranks = await Ranks.start({ worldSize: 3, transport: 'ipc', scenario: 'pipedVictim' });
    await once(ranks.processes[1], 'message');
    ranks.processes[1].kill('SIGKILL');
    const outcomes = await ranks.end();
    for (const rank of [0, 2]) {
      const lost = `PEER_LOST: rank ${rank} has lost the connection to rank 1`;
      expect(outcomes[rank]).toEqual({ result: [lost, lost, lost] });
    }
  });

  it('ends at its deadline where a rank is stopped', async () => {
    const about = { worldSize: 3, transport: 'ipc', scenario: 'pipedVictim', own: 1500 } as const;
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
