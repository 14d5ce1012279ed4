import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { sync as writeFileAtomicSync } from 'write-file-atomic';
import { stringify } from 'yaml';
import type { Config } from '../config/schema.js';
import { messageOf, UserError } from '../util/errors.js';
import { makeFolder } from '../util/make-folder.js';
import { printable } from '../util/printable.js';
import { regularBytes } from '../util/regular-file.js';
import type { Evaluation } from '../evaluation/schema.js';
import { makeJobFolder, type JobState, type JobStateFile } from './job-state.js';
import { packSample, type EvaluationSample } from '../evaluation/sample.js';
import type { EvaluationTotals } from '../evaluation/totals.js';
import { reasonOf } from '../checkpoint/files.js';
import type {
  CheckpointRecord,
  EpochRecord,
  MissedRecord,
  NoticeRecord,
  Position,
  RanksRecord,
  Recorded,
  Report,
  StepRecord,
} from './records.js';

/** Most bytes of `metrics.jsonl`, which is read into one string. */
const mostMetricsBytes = 500_000_000;

/** Follows a run: the files in its folder, the console. */
export interface RunListener {
  /** Called after each step. */
  step?(record: StepRecord): void;
  /** Called once a checkpoint is on disk; before `epoch`. */
  checkpoint?(record: CheckpointRecord): void;
  /** Called for a checkpoint that could not be written, and its evaluation. */
  missed?(record: MissedRecord): void;
  /** Called for a line about how the ranks work; each line once, whatever their number. */
  notice?(record: NoticeRecord): void;
  /** Called after each epoch, once it is evaluated; `ranks` says where the time of its steps went. */
  epoch?(record: EpochRecord, totals: EvaluationTotals, ranks?: RanksRecord): void;
  /** Called during a full evaluation with the number of images done. */
  evaluating?(images: number): void;
  /** Called after a full evaluation; `sample` has the features of some of its images, where they were wanted. */
  evaluated?(evaluation: Evaluation, sample?: EvaluationSample): void;
  /** Called once every worker has finished. */
  finished?(report: Report): void;
  /** Called with the report once more where something turns out to be missing after `finished`. */
  amended?(report: Report): void;
  /** Files that could not be written, a line each; read after `finished`. */
  readonly unwritten?: readonly string[];
}

/** Features of test images, in a run folder: rows of `packSample`. */
export const sampleFile = 'evaluation-sample.bin';

/** Most bytes of `metrics.jsonl` that are kept until there is room for them. */
const mostPendingBytes = 256 * 2 ** 20;

/**
 * Writes `config.yaml`, `metrics.jsonl`, `evaluation.json`, its sample and `report.json` of one run folder.
 *
 * Once the run has begun, what cannot be written costs a line on standard error and a place in `unwritten`, not the run:
 * lines of metrics are kept and written, in order, once there is room.
 */
export class RunRecorder implements RunListener {
  private metrics: number | undefined;
  /** Metrics that are not written yet. */
  private pending: Buffer = Buffer.alloc(0);
  private readonly problems: string[] = [];
  private metricsProblem: string | undefined;

  private constructor(
    readonly folder: string,
    metrics: number,
    /** Epochs that have their line already. */
    private readonly recorded: ReadonlySet<number>,
    private readonly say: (line: string) => void = sayHere,
    /** Whether the folder is still this job's: else nothing is written any more. */
    private readonly isHeld: () => boolean = () => true,
  ) {
    this.metrics = metrics;
  }

  /**
   * Makes the folder with `logs/` and `checkpoints/`, and starts `metrics.jsonl`. A run that goes on from `resumed` keeps
   * the lines of the epochs and steps before, and drops what came after its checkpoint. `isHeld` is asked before each write.
   */
  static open(
    folder: string,
    config: Config,
    resumed: Position = { epochs: 0, steps: 0 },
    isHeld?: () => boolean,
  ): RunRecorder {
    writing(folder, () => {
      for (const part of ['logs', 'checkpoints']) makeFolder(join(folder, part));
    });
    const file = join(folder, 'metrics.jsonl');
    const kept = linesBefore(file, resumed);
    writeWhole(join(folder, 'config.yaml'), stringify(config));
    writeWhole(file, kept.map((line) => `${line}\n`).join(''));
    const epochs = new Set(kept.filter(isEpoch).map(epochOf));
    return new RunRecorder(folder, openSync(file, 'a'), epochs, undefined, isHeld);
  }

  /**
   * Goes on with the record of a run whose process has ended, less a line that it had only begun. The metrics become a new
   * file: a process that has only been stopped, and wakes in the middle of a write, reaches the one that is no longer there.
   * `say` is called with a line for each problem, `isHeld` is asked before each write.
   */
  static goOn(
    folder: string,
    say?: (line: string) => void,
    isHeld?: () => boolean,
  ): { recorder: RunRecorder; recorded: Recorded } {
    const file = join(folder, 'metrics.jsonl');
    const bytes = regularBytes(file, mostMetricsBytes);
    const whole = bytes.lastIndexOf(0x0a) + 1;
    writing(file, () => writeFileAtomicSync(file, bytes.subarray(0, whole)));
    const text = bytes.toString('utf8', 0, whole).trimEnd();
    const records = text === '' ? [] : text.split('\n').map((line) => JSON.parse(line) as { kind: string });
    const steps = records.filter(({ kind }) => kind === 'step') as unknown as StepRecord[];
    const epochs = records.filter(({ kind }) => kind === 'epoch') as unknown as EpochRecord[];
    const known = new Set(epochs.map(({ epoch }) => epoch));
    const recorder = new RunRecorder(folder, openSync(file, 'a'), known, say, isHeld);
    return { recorder, recorded: { steps, last: epochs.at(-1) } };
  }

  step(record: StepRecord): void {
    this.append(record);
  }

  epoch(record: EpochRecord, _totals?: EvaluationTotals, ranks?: RanksRecord): void {
    const known = this.recorded.has(record.epoch);
    this.append(...(known ? [] : [record]), ...(ranks ? [ranks] : []));
  }

  /** Adds a line to `job/incidents.jsonl`: a fault that the run has gone on from. */
  incident(incident: object): void {
    const file = join(this.folder, 'job', 'incidents.jsonl');
    const line = JSON.stringify({ time: new Date().toISOString(), ...incident });
    this.attempt(() =>
      writing(file, () => {
        makeJobFolder(this.folder);
        const log = openSync(file, 'a');
        writeSync(log, `${line}\n`);
        closeSync(log);
      }),
    );
  }

  /** Writes to `job/job.json`. */
  job(state: JobStateFile, change: Partial<JobState>): void {
    this.attempt(() => writing(state.file, () => state.update(change)));
  }

  evaluated(evaluation: Evaluation, sample?: EvaluationSample): void {
    const file = join(this.folder, sampleFile);
    if (sample)
      this.attempt(() =>
        writing(file, () => writeFileAtomicSync(file, Buffer.from(packSample(sample)), { mode: 0o600 })),
      );
    this.attempt(() => writeEvaluation(join(this.folder, 'evaluation.json'), evaluation));
  }

  finished(report: Report): void {
    this.flush();
    this.amended(report);
  }

  amended(report: Report): void {
    this.attempt(() => writeWhole(join(this.folder, 'report.json'), `${JSON.stringify(report, null, 2)}\n`));
  }

  get unwritten(): readonly string[] {
    return this.metricsProblem === undefined ? this.problems : [...this.problems, this.metricsProblem];
  }

  /** Ends the record; safe to call twice. */
  close(): void {
    if (this.metrics === undefined) return;
    this.flush();
    closeSync(this.metrics);
    this.metrics = undefined;
  }

  /** Adds lines in one write: a process that ends leaves all of them or none. */
  private append(...records: (StepRecord | EpochRecord | RanksRecord)[]): void {
    const line = Buffer.from(records.map((record) => `${JSON.stringify(record)}\n`).join(''));
    const room = this.pending.length + line.length <= mostPendingBytes;
    if (room) this.pending = this.pending.length === 0 ? line : Buffer.concat([this.pending, line]);
    else
      this.problems[0] ??= `lines of ${join(this.folder, 'metrics.jsonl')} are lost: more than can be kept`;
    this.flush();
  }

  private flush(): void {
    const { metrics } = this;
    if (metrics === undefined || this.pending.length === 0 || !this.isHeld()) return;
    try {
      while (this.pending.length > 0) this.pending = this.pending.subarray(writeSync(metrics, this.pending));
      this.metricsProblem = undefined;
    } catch (error) {
      const known = this.metricsProblem !== undefined;
      this.metricsProblem = unwritable(join(this.folder, 'metrics.jsonl'), error).message;
      if (!known)
        this.say(`${this.metricsProblem}; the training goes on, and its lines are kept until there is room`);
    }
  }

  private attempt(write: () => void): void {
    if (!this.isHeld()) return;
    try {
      write();
    } catch (error) {
      this.problems.push(messageOf(error));
      this.say(messageOf(error));
    }
  }
}

function sayHere(line: string): void {
  process.stderr.write(`${printable(line)}\n`);
}

/** Writes an evaluation as a JSON file, whole or not at all. */
export function writeEvaluation(file: string, evaluation: Evaluation): void {
  writeWhole(file, `${JSON.stringify(evaluation)}\n`);
}

function writeWhole(file: string, text: string): void {
  writing(file, () => writeFileAtomicSync(file, text));
}

function writing(file: string, write: () => unknown): void {
  try {
    write();
  } catch (error) {
    throw unwritable(file, error);
  }
}

function unwritable(file: string, error: unknown): UserError {
  return new UserError('RUN_FOLDER_UNWRITABLE', `cannot write ${file}: ${reasonOf(error)}`);
}

function linesBefore(file: string, { epochs, steps }: Position): string[] {
  if (epochs === 0 && steps === 0) return [];
  let text: string;
  try {
    text = regularBytes(file, mostMetricsBytes).toString('utf8');
  } catch {
    return [];
  }
  const lines = text.split('\n').map((line) => ({ line, epoch: epochOf(line) }));
  const within = lines.filter(({ line, epoch }) => epoch === epochs && isStep(line)).slice(0, steps);
  return [...lines.filter(({ epoch }) => epoch < epochs), ...within].map(({ line }) => line);
}

function isEpoch(line: string): boolean {
  return kindOf(line) === 'epoch';
}

function isStep(line: string): boolean {
  return kindOf(line) === 'step';
}

function kindOf(line: string): string | undefined {
  return (JSON.parse(line) as { kind?: string }).kind;
}

function epochOf(line: string): number {
  try {
    return (JSON.parse(line) as { epoch: number }).epoch;
  } catch {
    return Infinity;
  }
}
