import { shardRange } from '../collective/communicator.js';
import type { Config } from '../config/schema.js';
import { UserError } from '../util/errors.js';
import type { Range } from './buckets.js';

/** A rank's place in the job, and the number of parts that a batch is cut into. */
export interface Cut {
  rank: number;
  worldSize: number;
  /** A multiple of `worldSize`; `worldSize` itself: one part a rank. */
  logicalShards: number;
}

/**
 * Refuses a number of workers, and a backend, that cannot have the equal bits that the configuration asks for.
 *
 * @throws UserError `CONFIG_INVALID`
 */
export function checkWorkers(
  { distributed: { bitwise }, backend }: Pick<Config, 'distributed' | 'backend'>,
  workers: number,
): void {
  if (bitwise === undefined) return;
  if (backend === 'webgpu') throw refusal(bitwise, 'the backends native, wasm and cpu, not for webgpu');
  if (bitwise % workers === 0) return;
  const fewer = Array.from({ length: Math.log2(bitwise) }, (_, power) => 2 ** power);
  throw refusal(bitwise, `${fewer.join(', ')} or ${bitwise} workers, not for ${workers}`);
}

/** How a job of so many workers cuts its batches; throws as `checkWorkers`. */
export function cutOf(
  config: Pick<Config, 'distributed' | 'backend'>,
  { rank, worldSize }: Pick<Cut, 'rank' | 'worldSize'>,
): Cut {
  checkWorkers(config, worldSize);
  return { rank, worldSize, logicalShards: config.distributed.bitwise ?? worldSize };
}

function refusal(bitwise: number, what: string): UserError {
  return new UserError('CONFIG_INVALID', `distributed.bitwise ${bitwise} is for ${what}`);
}

/**
 * The rows of this rank's slice of a global batch that each of its logical shards has; some may have none. `counts` are
 * the images of every rank.
 *
 * A logical shard is a part of the batch that is computed by itself, as by a worker of its own. Where their number stays
 * the same and that of the ranks does not, all sums over images are still sums of the same parts: each part's own, and
 * these added up in pairs (`collective/pairwise.ts`), on one rank as far as it has the parts and over the ranks from
 * there. A rank's parts follow each other and are a power of two, so what it adds up is a sum that the order calls for: a
 * step comes to the same bits for any number of ranks.
 */
export function logicalShards(
  counts: readonly number[],
  { rank, worldSize, logicalShards: total }: Cut,
): Range[] {
  const own = total / worldSize;
  if (own === 1) return [{ start: 0, end: counts[rank] }];
  const images = counts.reduce((sum, count) => sum + count, 0);
  const [first] = shardRange(images, rank, worldSize);
  return Array.from({ length: own }, (_, index) => {
    const [start, end] = shardRange(images, rank * own + index, total);
    return { start: start - first, end: end - first };
  });
}
