import { describe, expect, it } from 'vitest';
import { shardRange } from '../../src/collective/communicator.js';
import { cutOf, rowsOfVirtualWorkers } from '../../src/parallel/virtual-workers.js';
import { distributedConfig } from '../training/distributed-config.js';

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index);

/** Number of images of every rank. */
function countsOf(images: number, worldSize: number): number[] {
  return upTo(worldSize).map((rank) => {
    const [start, end] = shardRange(images, rank, worldSize);
    return end - start;
  });
}

describe('rowsOfVirtualWorkers', () => {
  it.each([96, 93, 5, 2, 0])(
    'gives each virtual worker the same images for 1, 2, 4 and 8 ranks: %i images',
    (images) => {
      const shards = [1, 2, 4, 8].map((worldSize) => {
        const counts = countsOf(images, worldSize);
        return upTo(worldSize).flatMap((rank) => {
          const [first] = shardRange(images, rank, worldSize);
          const own = rowsOfVirtualWorkers(counts, { rank, worldSize, virtualWorkers: 8 });
          expect(own[0].start).toBe(0);
          expect(own[own.length - 1].end).toBe(counts[rank]);
          return own.map(({ start, end }) => [first + start, first + end]);
        });
      });
      for (const other of shards) expect(other).toEqual(shards[0]);
      expect(shards[0].flatMap(([start, end]) => upTo(end - start).map((row) => start + row))).toEqual(
        upTo(images),
      );
    },
  );

  it('gives all images of a rank if every rank has one virtual worker', () => {
    const cut = { rank: 1, worldSize: 2, virtualWorkers: 2 };
    expect(rowsOfVirtualWorkers([3, 7], cut)).toEqual([{ start: 0, end: 7 }]);
  });
});

describe('cutOf', () => {
  it('takes one virtual worker for each rank, or as many as distributed.bitwise says', () => {
    const place = { rank: 1, worldSize: 2 };
    expect(cutOf(distributedConfig({}), place)).toEqual({ ...place, virtualWorkers: 2 });
    expect(cutOf(distributedConfig({ bitwise: 8 }), place)).toEqual({ ...place, virtualWorkers: 8 });
  });

  it('rejects a number of ranks that does not divide distributed.bitwise', () => {
    expect(() => cutOf(distributedConfig({ bitwise: 8 }), { rank: 0, worldSize: 3 })).toThrow(
      'distributed.bitwise 8 is for 1, 2, 4 or 8 workers, not for 3',
    );
  });
});
