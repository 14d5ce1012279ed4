import { shardRange } from '../collective/communicator.js';
import { backends, listed } from '../backend/backends.js';
import type { Config } from '../config/schema.js';
import { UserError } from '../util/errors.js';
import type { Range } from './buckets.js';

/** A rank's place in the job, and the number of parts that a batch is cut into. */
export interface Cut {
  rank: number;
  worldSize: number;
  /** A multiple of `worldSize`; `worldSize` itself: one part a rank. */
  virtualWorkers: number;
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
  if (backends.some(({ name, deterministic }) => name === backend && !deterministic)) {
    const others = backends.filter(({ deterministic }) => deterministic).map(({ name }) => name);
    throw refusal(bitwise, `the backends ${listed(others)}, not for ${backend}`);
  }
  if (bitwise % workers === 0) return;
  const fewer = Array.from({ length: Math.log2(bitwise) }, (_, power) => 2 ** power);
  throw refusal(bitwise, `${fewer.join(', ')} or ${bitwise} workers, not for ${workers}`);
}

/** Numbers of workers from `least` to `most` that the configuration can have, ascending. */
export function permittedSizes(
  { distributed: { bitwise } }: Pick<Config, 'distributed'>,
  { least, most }: { least: number; most: number },
): number[] {
  const sizes = Array.from({ length: most - least + 1 }, (_, index) => least + index);
  return sizes.filter((size) => bitwise === undefined || bitwise % size === 0);
}

/** Cut of the batches in a job of so many workers; throws as `checkWorkers`. */
export function cutOf(
  config: Pick<Config, 'distributed' | 'backend'>,
  { rank, worldSize }: Pick<Cut, 'rank' | 'worldSize'>,
): Cut {
  checkWorkers(config, worldSize);
  return { rank, worldSize, virtualWorkers: config.distributed.bitwise ?? worldSize };
}

function refusal(bitwise: number, what: string): UserError {
  return new UserError('CONFIG_INVALID', `distributed.bitwise ${bitwise} is for ${what}`);
}

/**
 * The rows that each virtual worker of this rank has of the rank's slice; a range may be empty. `counts` holds the
 * images of every rank.
 *
 * A virtual worker is a part of the batch that is computed separately, as if by a worker of its own. Their number does
 * not depend on the number of ranks. So every sum over images consists of the same terms: each virtual worker's own sum,
 * and these added in pairs (`collective/pairwise.ts`), within a rank first and then over the ranks. The virtual workers
 * of a rank are neighbours and a power of two in number, so a rank's sum is a node of that tree of pairs. Therefore a
 * step gives the same bits for any number of ranks.
 */
export function rowsOfVirtualWorkers(
  counts: readonly number[],
  { rank, worldSize, virtualWorkers: total }: Cut,
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
