import { shardOf, type Range } from '../parallel/buckets.js';

/** An array that each rank has whole and of its own, after its shards in its file. */
export interface OwnArray {
  name: 'residual' | 'moving';
  length: number;
}

/**
 * How the numbers of a training are cut into one file a rank, little-endian float32: of each array in `names` the parts
 * that rank r has of every bucket (as the update cuts them), one after another; then its own arrays.
 */
export interface ShardLayout {
  buckets: readonly Range[];
  /** Arrays of one number a weight; `weights` comes first. */
  names: readonly string[];
  own: readonly OwnArray[];
  worldSize: number;
}

/** The name of the file of centroids that were given. */
export const centroidsName = 'centroids.bin';

/** The name of the file of a rank's numbers. */
export function shardName(rank: number): string {
  return `shard-${rank}.bin`;
}

/** The parts of an array, one number a weight, that a rank has, one after another. */
export function cutOut(array: Float32Array, rank: number, layout: ShardLayout): Float32Array {
  const part = new Float32Array(partLength(rank, layout));
  cutInto(part, array, rank, layout);
  return part;
}

/** Copies these parts to the beginning of `target`; returns how many numbers they are. */
export function cutInto(
  target: Float32Array,
  array: Float32Array,
  rank: number,
  { buckets, worldSize }: ShardLayout,
): number {
  let offset = 0;
  for (const bucket of buckets) {
    const { start, end } = shardOf(bucket, { rank, worldSize });
    target.set(array.subarray(start, end), offset);
    offset += end - start;
  }
  return offset;
}

/** Numbers in the file of a rank. */
export function shardLength(rank: number, layout: ShardLayout): number {
  const own = layout.own.reduce((sum, { length }) => sum + length, 0);
  return layout.names.length * partLength(rank, layout) + own;
}

/** The arrays that the files of all ranks hold together: whole ones by name, and each rank's own by name. */
export function joinShards(
  shards: readonly Float32Array[],
  layout: ShardLayout,
): { whole: Record<string, Float32Array>; own: Partial<Record<OwnArray['name'], Float32Array[]>> } {
  const { buckets, names, worldSize } = layout;
  const length = buckets.at(-1)?.end ?? 0;
  const arrays = names.map((name) => [name, new Float32Array(length)] as const);
  const own: Partial<Record<OwnArray['name'], Float32Array[]>> = {};
  shards.forEach((shard, rank) => {
    let offset = 0;
    const next = (count: number) => shard.subarray(offset, (offset += count));
    for (const [, array] of arrays) {
      for (const bucket of buckets) {
        const { start, end } = shardOf(bucket, { rank, worldSize });
        array.set(next(end - start), start);
      }
    }
    for (const { name, length: count } of layout.own) (own[name] ??= []).push(next(count).slice());
  });
  return { whole: Object.fromEntries(arrays), own };
}

/** Whether the buckets cover so many numbers in order, without gap or overlap. */
export function covers(buckets: readonly Range[], length: number): boolean {
  let at = 0;
  for (const { start, end } of buckets) {
    if (start !== at || end < start) return false;
    at = end;
  }
  return at === length;
}

function partLength(
  rank: number,
  { buckets, worldSize }: Pick<ShardLayout, 'buckets' | 'worldSize'>,
): number {
  return buckets.reduce((sum, bucket) => {
    const { start, end } = shardOf(bucket, { rank, worldSize });
    return sum + end - start;
  }, 0);
}
