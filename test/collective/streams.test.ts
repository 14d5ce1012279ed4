import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { Ranks, run } from './ranks.js';

/** Lengths around every change of algorithm, with uneven tails; `long` go to the bulk stream, `short` to the urgent one. */
const long = [1_000_003, 393_217, 65_537, 16_385];
const short = [1, 7, 1000, 16_384];

describe('the bulk and the urgent stream, both busy', () => {
  it.each([
    [2, 'ipc', 3],
    [2, 'tcp', 3],
    [3, 'tcp', 2],
    [5, 'ipc', 2],
    [8, 'ipc', 1],
  ] as const)('sum exactly on %i ranks over %s', async (worldSize, transport, rounds) => {
    const outcomes = await run({
      ...{ worldSize, transport, scenario: 'bothStreams', long, short, rounds },
      timeoutMs: 60_000,
    });
    expect(outcomes).toEqual(new Array(worldSize).fill({}));
  });

  it.each([
    ['ring', { directBytes: 0, ringBytes: 0, hierarchicalBytes: 1e9 }],
    ['scatter', { directBytes: 0, ringBytes: 1e9, hierarchicalBytes: 1e9 }],
    ['hierarchical', { directBytes: 0, ringBytes: 500_000, hierarchicalBytes: 0 }],
  ])('sum exactly by %s', async (_algorithm, thresholds) => {
    const hosts = ['a', 'a', 'b', 'b'];
    const about = { worldSize: 4, hosts, transport: 'ipc', scenario: 'bothStreams', thresholds } as const;
    const outcomes = await run({ ...about, long, short, rounds: 2, timeoutMs: 60_000 });
    expect(outcomes).toEqual(new Array(4).fill({}));
  });

  it('sum exactly with checkCollectives', async () => {
    const about = {
      worldSize: 3,
      transport: 'ipc',
      scenario: 'bothStreams',
      checkCollectives: true,
    } as const;
    const outcomes = await run({ ...about, long, short, rounds: 2, timeoutMs: 60_000 });
    expect(outcomes).toEqual(new Array(3).fill({}));
  });

  it('do not wait for each other', async () => {
    const outcomes = await run({ worldSize: 2, transport: 'tcp', scenario: 'overtaking' });
    expect(outcomes).toEqual(new Array(2).fill({ result: true }));
  });

  it('still work after long waits in one stream', async () => {
    const outcomes = await run({ worldSize: 3, transport: 'tcp', scenario: 'longWaits' });
    expect(outcomes).toEqual(new Array(3).fill({}));
  });
});

describe('a failure in one stream', () => {
  it('gives both streams the same error when a rank is killed', async () => {
    const ranks = await Ranks.start({ worldSize: 3, transport: 'ipc', scenario: 'victimOfBoth' });
    await once(ranks.processes[1], 'message');
    ranks.processes[1].kill('SIGKILL');
    const outcomes = await ranks.end();
    for (const rank of [0, 2]) {
      const errors = outcomes[rank]?.result as string[];
      expect(errors).toEqual(new Array(3).fill(`PEER_LOST: rank ${rank} has lost the connection to rank 1`));
    }
  });

  it.each(['bulk', 'urgent'])(
    'gives both streams the same error after a mismatch in the %s stream',
    async (stream) => {
      const outcomes = await run({ worldSize: 2, transport: 'tcp', scenario: 'differingInOne', stream });
      for (const outcome of outcomes) {
        const errors = outcome?.result as string[];
        expect(errors[0]).toMatch(/^COLLECTIVE_MISMATCH: .*tag \d+ instead of \d+/);
        expect(errors).toEqual(new Array(4).fill(errors[0]));
      }
    },
  );

  it.each([
    ['bulk', 'tcp'],
    ['urgent', 'tcp'],
    ['urgent', 'ipc'],
  ] as const)(
    'gives both streams the same error after a missed deadline in the %s stream over %s',
    async (stream, transport) => {
      const ranks = await Ranks.start({ worldSize: 3, transport, scenario: 'lateForOne', stream });
      await Promise.all([ranks.outcomes[0], ranks.outcomes[2]]);
      ranks.processes[1].kill('SIGKILL');
      const outcomes = await ranks.end();
      for (const rank of [0, 2]) {
        const errors = outcomes[rank]?.result as string[];
        expect(errors[0]).toMatch(
          new RegExp(
            `^COLLECTIVE_TIMEOUT: rank ${rank} has waited 1 s in allReduce '${stream}' .* for rank 1$`,
          ),
        );
        expect(errors).toEqual(new Array(4).fill(errors[0]));
      }
    },
  );
});

describe('calls of ranks that choose different streams', () => {
  it.each([
    ['length', 'tcp'],
    ['face', 'tcp'],
    ['face', 'ipc'],
  ] as const)(
    'fail long before the deadline when the ranks differ in %s over %s',
    async (difference, transport) => {
      const outcomes = await run({
        ...{ worldSize: 2, transport, scenario: 'differingStreams', difference, timeoutMs: 60_000 },
      });
      for (const outcome of outcomes) {
        expect(outcome?.error?.code).toBe('COLLECTIVE_MISMATCH');
        expect(outcome?.error?.message).toMatch(
          /allReduce 'allReduce' .*\(collective 2\) got from rank [01]/,
        );
      }
    },
  );

  it.each([
    ['length', 100_000],
    ['face', 10],
  ])('are both named with checkCollectives when the ranks differ in %s', async (difference, length) => {
    const outcomes = await run({
      ...{ worldSize: 3, transport: 'ipc', scenario: 'differingStreams', difference, timeoutMs: 60_000 },
      checkCollectives: true,
    });
    for (const outcome of outcomes) {
      expect(outcome?.error?.code).toBe('COLLECTIVE_MISMATCH');
      expect(outcome?.error?.message).toMatch(
        new RegExp(
          `rank 0: .* of 10 float32 .*; rank 1: .* of ${length} float32 .*, and only one of the two blocks and is short|` +
            `rank 1: .* of ${length} float32 .*; rank 2: .* of 10 float32 .*, and only one of the two blocks and is short`,
        ),
      );
      expect(outcome?.error?.message.match(/ at fixtures\/stream-scenarios\.js:\d+/g)).toHaveLength(2);
    }
  });
});
