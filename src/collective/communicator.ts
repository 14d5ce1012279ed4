import type { KeptFiles } from '../transport/host/kept-file.js';
import type { ReduceOp, WireType } from '../transport/wire.js';

export type { ReduceOp, WireType } from '../transport/wire.js';

/** Element types that a collective reduces. */
export type Numbers = Float32Array | Float64Array;

/** Options of every collective. All ranks give the same, but for `residual`. */
export interface CollectiveOptions {
  /** Default `sum`. */
  op?: ReduceOp;
  /** Deadline of the whole call in milliseconds; default: the communicator's own. */
  timeoutMs?: number;
  /**
   * How the values of an all-reduce or reduce-scatter travel; default `float32`. `bf16` rounds them on the way and
   * needs a `residual`. Only for sums of float32; another call with it is a `WIRE_UNSUPPORTED`.
   */
  wire?: WireType;
  /**
   * With `bf16`: what rounding took away the last time, which this call adds (error feedback), and what it takes away
   * now. From `allocate`, as long as the values, zeros at first; a reduce-scatter leaves this rank's shard of it alone.
   */
  residual?: Float32Array;
  /**
   * Calls of different lanes need not wait for each other, such as those of different buckets; those of one are served in
   * order. Counted modulo `distributed.bucketsInFlight`; default 0.
   */
  lane?: number;
  /** Names the call in errors and is compared between ranks, such as `gradients` or `bn3/forward`. */
  tag?: string;
}

/** Calls of kernels that are written into the arena, for the thread that serves a collective to make. */
export interface WrittenCalls {
  /** Where they lie in the arena, in bytes. */
  readonly offset: number;
}

/** Options of an all-gather. */
export interface GatherOptions extends CollectiveOptions {
  /** Where ranks' parts begin and end: rank r owns elements `[offsets[r], offsets[r + 1])`; default: `shardRange`'s. */
  offsets?: readonly number[];
  /** Calls that the thread which serves the gather makes before it, such as the update of this rank's part. */
  before?: WrittenCalls;
}

/** A collective that has been started, and that the caller waits for later, once. */
export interface Pending {
  /** Rejects as the collective would have. */
  wait(): Promise<void>;
  /** Blocks; throws as the collective would have. */
  waitSync(): void;
  /** Whether it has ended, so that a wait returns at once. */
  readonly over: boolean;
}

/** Sees what a rank gives to a collective, and what it gets. */
export type Witness = (values: Numbers, is: 'given' | 'result') => void;

/**
 * Collective operations over the ranks of a job. Every rank calls the same operations in the same order with the
 * same lengths. Every operation has two faces on one engine: `await` it, or block in its `Sync` form, which may be
 * called in the middle of a gradient tape. Two can also be started and waited for later.
 *
 * Results are bitwise equal on every rank. A call rejects (or throws) `PodDistError` with the code
 * `COLLECTIVE_TIMEOUT` past its deadline, `PEER_LOST` when a peer's connection ends, `COLLECTIVE_MISMATCH` when the
 * ranks disagree about the call, `JOB_ABORTED` when the job is stopped, and `COMMUNICATOR_CLOSED` after `close`.
 */
export interface Communicator {
  readonly rank: number;
  readonly worldSize: number;
  /** Whether all ranks share a host and no network is between them. */
  readonly withinHost: boolean;
  /**
   * Files in which ranks keep what is to outlive them; undefined unless all ranks share a host that has such files.
   *
   * @hidden
   */
  readonly kept?: KeptFiles;
  /**
   * Called with what this rank gives to each blocking `allReduce`, before it does, and with the result. What it throws ends
   * that call.
   *
   * @hidden
   */
  witness?: Witness;

  /**
   * A float32 region of `length` elements in the arena that compute and communication threads share. Collectives on
   * it, or on views of it, copy nothing between the threads. It lives as long as the communicator.
   */
  allocate(length: number): Float32Array;

  /** The arena's memory, for kernels that work on regions from `allocate`. */
  readonly memory: WebAssembly.Memory;

  /** Combines `values` over all ranks, in place. */
  allReduce(values: Numbers, options?: CollectiveOptions): Promise<void>;
  /** `allReduce`, which blocks. */
  allReduceSync(values: Numbers, options?: CollectiveOptions): void;

  /**
   * Combines `values` over all ranks, of which this rank gets shard `rank` (`shardRange`): returns a view of
   * `values`; the rest of `values` is undefined afterwards.
   */
  reduceScatter<T extends Numbers>(values: T, options?: CollectiveOptions): Promise<T>;
  /** `reduceScatter`, which blocks. */
  reduceScatterSync<T extends Numbers>(values: T, options?: CollectiveOptions): T;

  /** Gathers every rank's part of `values` in place. Parts may be empty. */
  allGather(values: Numbers, options?: GatherOptions): Promise<void>;
  /** `allGather`, which blocks. */
  allGatherSync(values: Numbers, options?: GatherOptions): void;

  /** Starts `reduceScatter` of values from `allocate`, which are left alone until the wait is over. */
  startReduceScatter(values: Float32Array, options?: CollectiveOptions): Pending;
  /** Starts `allGather` of values from `allocate`, which are left alone until the wait is over. */
  startAllGather(values: Float32Array, options?: GatherOptions): Pending;

  /** Copies `root`'s values to every rank. */
  broadcast(values: Numbers, root: number, options?: CollectiveOptions): Promise<void>;
  /** `broadcast`, which blocks. */
  broadcastSync(values: Numbers, root: number, options?: CollectiveOptions): void;

  /**
   * Sends the first half of `values` to the next rank (the last one's to rank 0), and takes the previous rank's into the
   * second half. `values` has the same even length on all ranks; one rank gets its own.
   */
  shift(values: Float32Array, options?: CollectiveOptions): Promise<void>;
  /** Starts `shift`; `values` may be used for something else once the wait is over. */
  startShift(values: Float32Array, options?: CollectiveOptions): Pending;

  /** Returns once every rank has called it. */
  barrier(options?: CollectiveOptions): Promise<void>;
  /** `barrier`, which blocks. */
  barrierSync(options?: CollectiveOptions): void;

  /** Name of the algorithm of the last collective that was waited for; empty where there was none. */
  readonly lastAlgorithm: string;

  /** Milliseconds that the caller has waited in collectives so far. */
  readonly waitedMs: number;

  /** Ends the communication; safe to call twice. */
  close(): Promise<void>;
}

/**
 * Shard `rank` of `length` elements split over `worldSize` ranks as evenly as possible: [start, end).
 *
 * @example
 * import { shardRange } from 'pod-dist';
 *
 * console.log(shardRange(10, 1, 3)); // [3, 6]
 */
export function shardRange(length: number, rank: number, worldSize: number): [start: number, end: number] {
  return [Math.floor((length * rank) / worldSize), Math.floor((length * (rank + 1)) / worldSize)];
}
