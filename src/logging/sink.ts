import type { Config } from '../config/schema.js';
import type { Evaluation } from '../evaluation/schema.js';
import type { JobEnd } from '../record/job-end.js';
import type { EpochRecord, RanksRecord, Report, StepRecord } from '../record/records.js';

/** A run that sinks are told about. */
export interface LoggedRun {
  /** Run folder. */
  folder: string;
  config: Config;
  /** Number of training images. */
  images: number;
}

/** A line of `job/incidents.jsonl`: a fault that the run has gone on from. */
export interface IncidentEntry {
  kind: 'incident';
  code: string;
  cause: string;
  rank?: number;
  /** From the first evidence until all ranks went on. */
  seconds: number;
  /** Workers since then. */
  worldSize?: number;
}

/** Something that a run has come to. */
export type LogRecord =
  | StepRecord
  | EpochRecord
  | RanksRecord
  | IncidentEntry
  | { kind: 'evaluation'; evaluation: Evaluation }
  | { kind: 'report'; report: Report };

export interface LogEntry {
  record: LogRecord;
  /** When it came, in milliseconds since 1970. */
  time: number;
  /** Number of the last step then. */
  at: number;
}

/** Where a sink begins. */
export interface SinkStart {
  /** Number of the step that it gets next. */
  step: number;
  /** What it has kept, by `keep`, when it last followed this run. */
  kept: unknown;
  /** Keeps a value for the next time that it follows this run. */
  keep(value: unknown): void;
  /** Tells people a line. */
  say(line: string): void;
}

/** A tool that follows one run. Its calls never overlap. */
export interface Sink {
  /**
   * Takes entries, in the order of the run. Resolves once the end of this process no longer loses them. Where it rejects,
   * the same entries, and others after them, come again.
   */
  write(entries: readonly LogEntry[]): Promise<void>;
  /** Ends; `ended` is why the run has ended before its time. */
  close(ended?: JobEnd): Promise<void>;
}

/** A kind of sink. */
export interface SinkKind {
  /**
   * Begins to follow a run, or goes on. Where it rejects with a `UserError` the run does not start; after any other error
   * it is called again.
   */
  open(run: LoggedRun, start: SinkStart): Promise<Sink>;
  /** Whether it only shows the present: each time that it is opened it gets the run from its first step on. */
  forgets?: boolean;
}
