import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { Ranks, run } from './ranks.js';

const lengths = [0, 1, 2, 3, 5, 1000, 4097, 70_001];

describe.each([
  [2, 'ipc'],
  [3, 'tcp'],
  [4, 'ipc'],
] as const)('%i ranks over %s', (worldSize, transport) => {
  it('get every element of every collective right', async () => {
    const outcomes = await run({ worldSize, transport, scenario: 'everything', lengths });
    expect(outcomes).toEqual(new Array(worldSize).fill({ result: lengths.length * 32 }));
  });

  it('get every element right if every collective takes the ring', async () => {
    const outcomes = await run({
      worldSize,
      transport,
      scenario: 'everything',
      lengths: [0, 1, 3, 1000],
      thresholds: { directBytes: 0, ringBytes: 0, hierarchicalBytes: 0 },
    });
    expect(outcomes).toEqual(new Array(worldSize).fill({ result: 4 * 32 }));
  });
});

describe.each([
  [2, 'ipc'],
  [3, 'ipc'],
  [4, 'ipc'],
  [5, 'tcp'],
  [8, 'ipc'],
] as const)('sums of %i ranks over %s', (worldSize, transport) => {
  it.each([
    ['chosen by length', {}],
    ['in shards', { directBytes: 0, pipeBytes: 0 }],
  ])('add in pairs with every algorithm, %s', async (_, thresholds) => {
    const lengths = [1, 7, 1000, 20_000, 190_001];
    const outcomes = await run({ worldSize, transport, scenario: 'pairs', lengths, thresholds });
    expect(outcomes).toEqual(new Array(worldSize).fill({ result: 5 * lengths.length }));
  });
});

describe('collectives', () => {
  it('get every element right over simulated hosts, for shards of uneven and of no length', async () => {
    const outcomes = await run({
      worldSize: 4,
      transport: 'ipc',
      hosts: ['a', 'b', 'a', 'b'],
      scenario: 'everything',
      lengths: [0, 1, 3, 1000],
      thresholds: { directBytes: 0, ringBytes: 1000, hierarchicalBytes: 0 },
    });
    expect(outcomes).toEqual(new Array(4).fill({ result: 4 * 32 }));
  });

  it('let the caller overwrite its memory as soon as a call ends', async () => {
    const outcomes = await run({
      worldSize: 2,
      transport: 'ipc',
      scenario: 'overwrite',
      length: 1_500_001,
      rounds: 15,
    });
    expect(outcomes).toEqual([{ result: 15 }, { result: 15 }]);
  });

  it('run in order when several calls are pending', async () => {
    const outcomes = await run({ worldSize: 3, transport: 'ipc', scenario: 'queued', length: 20_000 });
    const expected = Array.from({ length: 8 }, (_, index) => [3 + 3 * index, 3 + 3 * index]);
    expect(outcomes).toEqual(new Array(3).fill({ result: expected }));
  });

  it.each([100, 50_000])(
    'give equal bits on every rank, over ipc and tcp, for %i numbers',
    async (length) => {
      const first = await run({ worldSize: 3, transport: 'ipc', scenario: 'bits', length });
      const second = await run({ worldSize: 3, transport: 'tcp', scenario: 'bits', length });
      expect(new Set([...first, ...second].map((outcome) => outcome?.result)).size).toBe(1);
    },
  );

  it.each(['length', 'tag', 'type', 'kind', 'op', 'order'])(
    'fail on every rank when the calls differ in %s',
    async (difference) => {
      const outcomes = await run({
        worldSize: 2,
        transport: 'ipc',
        scenario: 'differing',
        difference,
        timeoutMs: 3000,
      });
      const codes = outcomes.map((outcome) => outcome?.error?.code);
      expect(codes).toContain('COLLECTIVE_MISMATCH');
      for (const code of codes) expect(['COLLECTIVE_MISMATCH', 'PEER_LOST']).toContain(code);
    },
  );

  it.each([
    ['length', /allReduce 'allReduce' of 10 float32/, /allReduce 'allReduce' of 11 float32/],
    ['tag', /allReduce 'gradients'/, /allReduce 'weights'/],
    ['kind', /allReduce 'allReduce' of 0 float32/, /barrier 'barrier'/],
    ['op', /\(sum\)/, /\(max\)/],
    ['type', /allReduce 'allReduce' of 10 float32/, /allReduce 'allReduce' of 5 float64/],
    ['order', /allReduce 'first' of 10 float32/, /allReduce 'second' of 10 float32/],
  ])(
    'name both call sites with checkCollectives when the calls differ in %s',
    async (difference, first, second) => {
      const outcomes = await run({
        worldSize: 3,
        transport: 'ipc',
        scenario: 'differing',
        difference,
        checkCollectives: true,
      });
      const errors = outcomes.map((outcome) => outcome?.error).filter((error) => error?.code !== 'PEER_LOST');
      expect(errors.length).toBeGreaterThan(0);
      for (const error of errors) {
        expect(error).toMatchObject({ code: 'COLLECTIVE_MISMATCH' });
        const [, left, right] = /rank 0, 2: (.*) at .*; rank 1: (.*) at /.exec(error?.message ?? '') ?? [];
        expect(left).toMatch(first);
        expect(right).toMatch(second);
        expect(error?.message.match(/ at fixtures\/scenarios\.js:\d+/g)).toHaveLength(2);
      }
    },
  );

  it('get every element right with checkCollectives', async () => {
    const outcomes = await run({
      worldSize: 3,
      transport: 'ipc',
      scenario: 'everything',
      lengths: [0, 5],
      checkCollectives: true,
    });
    expect(outcomes).toEqual(new Array(3).fill({ result: 64 }));
  });

  it('end with PEER_LOST and the rank of a killed peer', async () => {
    const ranks = await Ranks.start({ worldSize: 3, transport: 'ipc', scenario: 'victim' });
    await once(ranks.processes[1], 'message');
    const killed = performance.now();
    ranks.processes[1].kill('SIGKILL');
    const [first, second, third] = await ranks.end();
    expect(performance.now() - killed).toBeLessThan(15_000);
    expect(second).toBeUndefined();
    for (const outcome of [first, third]) {
      expect(outcome?.error).toMatchObject({
        code: 'PEER_LOST',
        message: expect.stringContaining('connection to rank 1') as string,
      });
    }
  });

  it('end at their deadline with the rank of a stopped peer', async () => {
    const ranks = await Ranks.start({ worldSize: 2, transport: 'tcp', scenario: 'victim', timeoutMs: 1500 });
    await once(ranks.processes[1], 'message');
    ranks.processes[1].kill('SIGSTOP');
    const first = await ranks.outcomes[0];
    ranks.processes[1].kill('SIGKILL');
    await ranks.end();
    expect(first?.error).toMatchObject({
      code: 'COLLECTIVE_TIMEOUT',
      message: expect.stringMatching(/1.5 s in (allReduce 'loop'|barrier 'barrier').*for rank 1/) as string,
    });
  });
});
