import type { Group } from '../../record/job-state.js';
import type { TracePart } from '../../trace/trace-file.js';
import type { Start } from '../../training/recovery-point.js';
import type { ListenOptions } from '../control/listen.js';
import type { ElasticOptions, Inherited } from './reform.js';
import type { RosterOptions } from './roster.js';

export interface CoordinatorOptions extends ListenOptions, RosterOptions {
  transport: 'ipc' | 'tcp';
  joinTimeoutMs: number;
  /**
   * Milliseconds to wait for a better explanation, since evidence of one failure arrives from several sides; default:
   * 400.
   */
  graceMs?: number;
  /** Milliseconds that others may wait for a rank before `onNotice` names it; default: none is named. */
  stallWarningMs?: number;
  /** Called with one line for each notice to the user while the job runs. */
  onNotice?(line: string): void;
  /** Called once, when every rank has joined. */
  onAssembled?(): void;
  /** Checks and returns a rank's part of a gather; throws `PROTOCOL_ERROR` if it is not one. */
  readPart?(name: string, part: unknown): unknown;
  /** Makes one result of what the ranks gather under a name; parts by rank. */
  combine(name: string, parts: unknown[]): unknown;
  /** Called with each record of a rank; throws `PROTOCOL_ERROR` if it is not a record. */
  onRecord?(rank: number, news: unknown): void;
  /** Called with the spans of each rank. */
  onTrace?(part: TracePart): void;
  /** Called whenever the ranks of a configuration begin, or begin again, to train. */
  onGroup?(group: Group): void;
  /** Called when the ranks begin again, with their number before and now; from a checkpoint or the start without a snapshot. */
  onReplay?(before: number, now: number, from: Start | undefined): void;
  /** Goes on after the loss of a worker; default: that ends the job. */
  elastic?: ElasticOptions;
  /** Run folder of a job that another process takes over where this one is lost; default: it ends with it. */
  succession?: string;
  /** An elastic job to take over, whose coordinator has ended. */
  inherited?: Inherited;
}
