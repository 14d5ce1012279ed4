import { describe, expect, it } from 'vitest';
import { run, type RankOptions } from './ranks.js';

const length = 60_000;
const S = 4 * length;
const always = { directBytes: 0, ringBytes: 0, hierarchicalBytes: 1e9 };
const scatter = { ...always, ringBytes: 1e9 };

/** [messages, bytes] that each rank sends in one collective, to all peers and to peers of other hosts. */
async function traffic(options: Partial<RankOptions> & { worldSize: number; kind: string }) {
  const hosts = options.hosts ?? new Array<string>(options.worldSize).fill('here');
  const outcomes = await run({ transport: 'tcp', scenario: 'traffic', length, ...options, hosts });
  return outcomes.map((outcome, rank) => {
    expect(outcome?.error).toBeUndefined();
    const sent = outcome?.result as [messages: number, bytes: number][];
    const total = (peers: [number, number][]) =>
      peers.reduce(([messages, bytes], peer) => [messages + peer[0], bytes + peer[1]], [0, 0]);
    return { all: total(sent), across: total(sent.filter((_, peer) => hosts[peer] !== hosts[rank])) };
  });
}

describe('messages and bytes that a rank sends', () => {
  it.each([
    ['allReduce', 'exchange', { ...scatter, directBytes: 1e9 }, 3, 3 * S],
    ['allReduce', 'scatter', scatter, 6, 1.5 * S],
    ['allReduce', 'ring', always, 7, 1.5 * S],
    ['allReduce', 'halving and doubling', { ...always, algorithm: 'halving-doubling' }, 4, 1.5 * S],
    ['reduceScatter', 'halving', { ...always, algorithm: 'halving-doubling' }, 2, 0.75 * S],
    ['allGather', 'doubling', { ...always, algorithm: 'halving-doubling' }, 2, 0.75 * S],
    ['reduceScatter', 'scatter', scatter, 3, 0.75 * S],
    ['reduceScatter', 'ring', always, 4, 0.75 * S],
    ['allGather', 'scatter', scatter, 3, 0.75 * S],
    ['allGather', 'ring', always, 4, 0.75 * S],
  ] as const)('%s, %s, four ranks', async (kind, _algorithm, thresholds, messages, bytes) => {
    for (const { all } of await traffic({ worldSize: 4, kind, thresholds }))
      expect(all).toEqual([messages, bytes]);
  });

  it.each([
    ['allReduce', 7, 0.75 * S],
    ['reduceScatter', 4, 0.375 * S],
  ])('%s, ring, bf16, four ranks', async (kind, messages, bytes) => {
    for (const { all } of await traffic({ worldSize: 4, kind, wire: 'bf16', thresholds: always }))
      expect(all).toEqual([messages, bytes]);
  });

  const hosts = ['a', 'a', 'a', 'b', 'b', 'b'];
  it.each([
    ['allReduce', 'float32', (4 / 3 + 1 / 3) * S, S / 3],
    ['reduceScatter', 'float32', (2 / 3 + 1 / 6) * S, S / 6],
    ['allGather', 'float32', (2 / 3 + 1 / 6) * S, S / 6],
    ['reduceScatter', 'bf16', (2 / 3 + 1 / 12) * S, S / 12],
    ['allReduce', 'bf16', (4 / 3 + 1 / 6) * S, S / 6],
  ])('%s of %s within two hosts of three and across', async (kind, wire, all, across) => {
    const thresholds = { ...scatter, hierarchicalBytes: 0 };
    for (const sent of await traffic({ worldSize: 6, kind, wire, hosts, thresholds })) {
      expect(sent.all[1]).toBeCloseTo(all);
      expect(sent.across[1]).toBeCloseTo(across);
    }
  });

  it('reduceScatter over hosts of different sizes crosses hosts in two links of a flat ring', async () => {
    const sent = await traffic({
      worldSize: 3,
      kind: 'reduceScatter',
      hosts: ['a', 'a', 'b'],
      thresholds: { ...always, hierarchicalBytes: 0 },
    });
    // Rank 0 sends to rank 1; its acknowledgement to rank 2 is empty.
    expect(sent.map(({ across }) => across[1])).toEqual([0, (2 / 3) * S, (2 / 3) * S]);
  });
});
