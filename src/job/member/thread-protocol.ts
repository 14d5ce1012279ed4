import type { Arena } from '../../collective/arena.js';
import type { Connections } from '../../collective/engine.js';
import type { PortRange } from '../../transport/ports.js';
import type { Security } from '../../transport/security.js';
import type { Thresholds } from '../../collective/selection.js';
import type { JobEnd } from '../../record/job-end.js';
import type { ErrorReport } from '../../util/errors.js';
import type { Held, Start } from '../../training/recovery-point.js';
import type { ErrorCode } from '../../util/error-codes.js';
import type { EndCause } from '../../util/signals.js';
import type { TraceSpan } from '../../trace/tracer.js';

/** Options with which a worker joins its job. */
export interface JoinOptions {
  /** Undefined for a worker that takes the place of a lost one. */
  rank: number | undefined;
  worldSize: number;
  /** Number of the process in its job; default: its rank. */
  worker?: number;
  /** Whether the job goes on without a rank that is lost. */
  elastic?: boolean;
  /** The coordinator's address, such as `tcp://127.0.0.1:29500`. */
  address: string;
  /** The job's secret: the keys of its connections are derived from it. */
  token: string;
  /** Own address on the route to the coordinator, on which this rank listens for its peers, over tcp. */
  host: string;
  /** Number of the worker whose place it takes. */
  replaces?: number;
  /** Its rank in the place that its starter keeps for it, and whether it has the run folder. */
  home?: { rank: number; leads: boolean };
  /** The coordinator's IP address, where this rank had to find it. */
  reached?: string;
  /** Ports that it listens on there; default: any free ones. */
  dataPorts?: PortRange;
  /** How data over tcp is protected; default `encrypted`. */
  security?: Security;
  /** Digest of the configuration, compared over the ranks. */
  digest: string;
  joinTimeoutMs: number;
  stallTimeoutMs: number;
  /** Default deadline of one collective. */
  collectiveTimeoutMs: number;
  /** Payload sizes at which another algorithm is selected. */
  thresholds: Thresholds;
  /** Compares every collective over the ranks before it. */
  checkCollectives: boolean;
  /** Whether spans of the threads are sent to the coordinator. */
  trace?: boolean;
  /** End with the parent process, as a launched worker does. */
  guardParent: boolean;
  /** Process id of the program that started this worker; the worker ends with it. */
  starter?: number;
  /** Run folder as this host sees it, of a job that may go on after the loss of its coordinator. */
  folder?: string;
}

export interface ThreadData extends JoinOptions {
  arena: Arena;
  status: SharedArrayBuffer;
}

/** A worker's place in a configuration of its job, and the snapshot from which the ranks go on in it. */
export interface Place {
  generation: number;
  rank: number;
  worldSize: number;
  start?: Start;
}

/** Messages from the compute thread. */
export type ToThread =
  | { type: 'agree'; name: string; value: string }
  | { type: 'gather'; name: string; part: unknown }
  | { type: 'record'; news: unknown }
  | { type: 'trace'; spans: TraceSpan[] }
  | ({ type: 'failed'; user: boolean } & ErrorReport)
  | { type: 'sealed'; at: number }
  | { type: 'finish' }
  | { type: 'leave'; code: ErrorCode; message: string; held: readonly Held[] }
  | { type: 'close' };

/** To the compute thread. */
export type FromThread =
  | { type: 'joined'; place: Place; connections: Connections }
  | { type: 'agreed'; name: string }
  | { type: 'gathered'; name: string; result: unknown }
  | { type: 'failed-sent' }
  | { type: 'moved'; address: string }
  | { type: 'ended' }
  | { type: 'end'; cause: EndCause }
  | { type: 'error'; ended: JobEnd };
