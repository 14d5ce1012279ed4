import { describe, expect, it } from 'vitest';
import { algorithms } from '../../src/collective/algorithms/index.js';
import { shardRange } from '../../src/collective/communicator.js';
import { loadMemoryAddon } from '../../src/transport/host/memory-addon.js';
import { needs } from '../needs.js';
import { RanksInThread } from './in-thread.js';

const lengths = [0, 1, 5, 1000, 70_001];
const longest = 2 * Math.max(...lengths);

/** Values whose sums float32 must round. */
const valueOf = (rank: number, index: number) =>
  Math.fround(Math.sin(rank * 1000 + index) * 10 ** (rank % 3));

/** The sum in double precision, and the largest error of a float32 sum of as many terms. */
function oracle(worldSize: number, index: number): [sum: number, tolerance: number] {
  const terms = Array.from({ length: worldSize }, (_, rank) => valueOf(rank, index));
  const magnitude = terms.reduce((sum, term) => sum + Math.abs(term), 0);
  return [terms.reduce((sum, term) => sum + term, 0), magnitude * worldSize * 2 ** -24];
}

/** Options of the test of an algorithm: shared memory needs its native module. */
const optionsOf = (name: string): Partial<ReturnType<typeof needs>> =>
  name === 'shared-memory' ? needs('the module for shared memory', loadMemoryAddon()) : {};

const plain = algorithms.filter(({ wire }) => wire !== 'bf16');
const cases = plain.flatMap((algorithm) =>
  [2, 3, 4, 5, 8].map((worldSize) => ({ name: algorithm.name, algorithm, worldSize })),
);

describe.each(cases)('$name over $worldSize ranks', ({ name, algorithm, worldSize }) => {
  const hosts =
    name === 'hierarchical'
      ? Array.from({ length: worldSize }, (_, rank) => (rank < Math.ceil(worldSize / 2) ? 'a' : 'b'))
      : new Array<string>(worldSize).fill('here');

  const title = 'gives right values, equal bits on every rank, and sends no more bytes than its cost';
  it(title, optionsOf(name), async () => {
    const ranks = await RanksInThread.start(worldSize, { longest, hosts });
    try {
      for (const length of lengths) {
        if (algorithm.collectives.allReduce && ranks.fits(name, 'allReduce', length)) {
          const results = await ranks.run(name, 'allReduce', length, valueOf);
          expect(new Set(results.map((values) => Buffer.from(values.buffer).toString('base64'))).size).toBe(
            1,
          );
          results[0].forEach((value, index) => {
            const [sum, tolerance] = oracle(worldSize, index);
            if (Math.abs(value - sum) > tolerance) expect.fail(`element ${index} is ${value}, not ${sum}`);
          });
          const shape = { bytes: length * 4, worldSize, hosts: new Set(hosts).size };
          const { bytes } = algorithm.cost('allReduce', shape);
          const even = worldSize % shape.hosts === 0;
          for (const sent of even ? ranks.sent : [])
            expect(sent.bytes).toBeLessThanOrEqual(bytes + 8 * worldSize);
        }
        if (algorithm.collectives.reduceScatter && ranks.fits(name, 'reduceScatter', length)) {
          const results = await ranks.run(name, 'reduceScatter', length, valueOf);
          for (const [rank, values] of results.entries()) {
            const [start, end] = shardRange(length, rank, worldSize);
            for (let index = start; index < end; index++) {
              const [sum, tolerance] = oracle(worldSize, index);
              if (Math.abs(values[index] - sum) > tolerance) expect.fail(`element ${index} of rank ${rank}`);
            }
          }
        }
        if (algorithm.collectives.allGather && ranks.fits(name, 'allGather', length)) {
          const owner = (index: number) =>
            Array.from({ length: worldSize }, (_, rank) => rank).find(
              (rank) => index < shardRange(length, rank, worldSize)[1],
            ) as number;
          const own = (rank: number, index: number) => (owner(index) === rank ? valueOf(rank, index) : -1);
          const wanted = Array.from({ length }, (_, index) => valueOf(owner(index), index));
          for (const values of await ranks.run(name, 'allGather', length, own))
            expect(
              Buffer.compare(Buffer.from(values.buffer), Buffer.from(Float32Array.from(wanted).buffer)),
            ).toBe(0);
        }
        if (algorithm.collectives.broadcast) {
          const results = await ranks.run(name, 'broadcast', length, valueOf, worldSize - 1);
          const wanted = Float32Array.from({ length }, (_, index) => valueOf(worldSize - 1, index));
          for (const values of results)
            expect(Buffer.compare(Buffer.from(values.buffer), Buffer.from(wanted.buffer))).toBe(0);
        }
        if (algorithm.collectives.shift) {
          const results = await ranks.run(name, 'shift', 2 * length, valueOf);
          for (const [rank, values] of results.entries()) {
            const previous = (rank + worldSize - 1) % worldSize;
            const wanted = Float32Array.from({ length: 2 * length }, (_, index) =>
              index < length ? valueOf(rank, index) : valueOf(previous, index - length),
            );
            expect(Buffer.compare(Buffer.from(values.buffer), Buffer.from(wanted.buffer))).toBe(0);
          }
        }
        if (algorithm.collectives.barrier) {
          await ranks.run(name, 'barrier', 0, valueOf);
          const messages = name === 'shared-memory' ? 0 : worldSize - 1;
          for (const sent of ranks.sent) expect(sent).toEqual({ messages, bytes: 0 });
        }
      }
    } finally {
      await ranks.close();
    }
  });
});

describe('algorithms', () => {
  it('have unique names, and those with pairwise summation add in pairs', async () => {
    expect(new Set(algorithms.map(({ name }) => name)).size).toBe(algorithms.length);
    const ranks = await RanksInThread.start(4, { longest, hosts: ['a', 'a', 'a', 'a'] });
    for (const { name, summation, collectives } of plain) {
      if (!collectives.allReduce || summation !== 'pairs' || optionsOf(name).skip) continue;
      const [values] = await ranks.run(name, 'allReduce', 1000, valueOf);
      values.forEach((value, index) => {
        const [a, b, c, d] = [0, 1, 2, 3].map((rank) => valueOf(rank, index));
        expect(value).toBe(Math.fround(Math.fround(a + b) + Math.fround(c + d)));
      });
    }
    await ranks.close();
  });
});

/** The sum in the order of `pairwise.ts`, each addition rounded to float32. */
function inPairs(terms: readonly number[]): number {
  if (terms.length === 1) return terms[0];
  let half = 1;
  while (half * 2 < terms.length) half *= 2;
  return Math.fround(inPairs(terms.slice(0, half)) + inPairs(terms.slice(half)));
}

describe('halving and doubling', () => {
  it.each(Array.from({ length: 15 }, (_, index) => index + 2))(
    'sums every element in pairs and gathers every shard, %i ranks',
    async (worldSize) => {
      const hosts = new Array<string>(worldSize).fill('here');
      const ranks = await RanksInThread.start(worldSize, { longest: 4099, hosts });
      const name = 'halving-doubling';
      const sums = Array.from({ length: 4099 }, (_, index) =>
        inPairs(Array.from({ length: worldSize }, (_, rank) => valueOf(rank, index))),
      );
      for (const length of [3, 4099]) {
        const wanted = Float32Array.from(sums.slice(0, length));
        for (const values of await ranks.run(name, 'allReduce', length, valueOf))
          expect(values).toEqual(wanted);
        const scattered = await ranks.run(name, 'reduceScatter', length, valueOf);
        const shards = scattered.map((values, rank) => values.slice(...shardRange(length, rank, worldSize)));
        expect(shards.flatMap((shard) => [...shard])).toEqual([...wanted]);
        const own = (rank: number, index: number) => {
          const [start, end] = shardRange(length, rank, worldSize);
          return start <= index && index < end ? sums[index] : -1;
        };
        for (const values of await ranks.run(name, 'allGather', length, own)) expect(values).toEqual(wanted);
      }
      await ranks.close();
    },
  );
});

describe('the algorithm chosen for an all-reduce over hosts of one rank', () => {
  it.each([
    [4, 'two-shot', 'ring'],
    [32, 'halving-doubling', 'halving-doubling'],
  ])('is, on %i ranks and for growing lengths, one-shot, %s, %s, ring', async (worldSize, middle, long) => {
    const hosts = Array.from({ length: worldSize }, (_, rank) => `host ${rank}`);
    const ranks = await RanksInThread.start(worldSize, { longest: 1, hosts, ringBytes: 1_572_864 });
    const lengths = [250, 250_000, 1_000_000, 10_000_000];
    const chosen = lengths.map((length) => ranks.chosen('allReduce', length));
    expect(chosen).toEqual(['one-shot', middle, long, 'ring']);
    await ranks.close();
  });
});
