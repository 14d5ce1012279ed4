import type { BackendOptions } from '../backend/backend.js';
import type { Thresholds } from '../collective/selection.js';
import type { Config } from '../config/schema.js';

/**
 * Options of a job's backend: its precision; deterministic for equal bits, and where steps may be made again; for equal bits also with as
 * many threads in every job.
 */
export function backendOptions({ distributed, elastic, precision }: Config): BackendOptions {
  const { bitwise, threads } = distributed;
  const deterministic = bitwise !== undefined || elastic.enabled;
  return { precision, deterministic, threads: threads ?? (bitwise === undefined ? undefined : 1) };
}

/** Limits of the algorithms of collectives: the ring and the hierarchy add up in an order of their own. */
export function thresholdsOf({ distributed }: Config): Thresholds {
  const { bitwise, ...thresholds } = distributed;
  return bitwise === undefined
    ? thresholds
    : { ...thresholds, ringBytes: Infinity, hierarchicalBytes: Infinity };
}
