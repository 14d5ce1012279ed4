import type { BackendOptions } from '../backend/backend.js';
import type { Thresholds } from '../collective/selection.js';
import type { Config } from '../config/schema.js';

/** Options of a job's backend: for equal bits, deterministic and with as many threads in every job. */
export function backendOptions({ distributed }: Config): BackendOptions {
  const { bitwise, threads } = distributed;
  const deterministic = bitwise !== undefined;
  return { deterministic, threads: threads ?? (deterministic ? 1 : undefined) };
}

/** Limits of the algorithms of collectives: the ring and the hierarchy add up in an order of their own. */
export function thresholdsOf({ distributed }: Config): Thresholds {
  const { bitwise, ...thresholds } = distributed;
  return bitwise === undefined
    ? thresholds
    : { ...thresholds, ringBytes: Infinity, hierarchicalBytes: Infinity };
}
