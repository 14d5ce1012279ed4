import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { sync as writeFileAtomicSync } from 'write-file-atomic';
import { stringify } from 'yaml';
import type { Config } from '../config/schema.js';
import { UserError } from '../util/errors.js';
import { makeFolder } from '../util/make-folder.js';
import { regularBytes } from '../util/regular-file.js';
import type { Evaluation } from '../evaluation/schema.js';
import type { EvaluationTotals } from '../evaluation/totals.js';
import { reasonOf } from '../checkpoint/files.js';
import type { CheckpointRecord, EpochRecord, RanksRecord, Report, StepRecord } from './records.js';

/** Most bytes of `metrics.jsonl`, which is read into one string. */
const mostMetricsBytes = 500_000_000;

/** Follows a run: the files in its folder, the console. */
export interface RunListener {
  /** Called after each step. */
  step?(record: StepRecord): void;
  /** Called once a checkpoint is on disk; before `epoch`. */
  checkpoint?(record: CheckpointRecord): void;
  /** Called after each epoch, once it is evaluated. */
  epoch?(record: EpochRecord, totals: EvaluationTotals): void;
  /** Called after `epoch`. */
  ranks?(record: RanksRecord): void;
  /** Called during a full evaluation with the number of images done. */
  evaluating?(images: number): void;
  /** Called after a full evaluation. */
  evaluated?(evaluation: Evaluation): void;
  /** Called once every worker has finished. */
  finished?(report: Report): void;
}

/** Writes `config.yaml`, `metrics.jsonl`, `evaluation.json` and `report.json` of one run folder. */
export class RunRecorder implements RunListener {
  private metrics: number | undefined;

  private constructor(
    readonly folder: string,
    metrics: number,
    /** Epochs that have their line already. */
    private readonly recorded: ReadonlySet<number>,
  ) {
    this.metrics = metrics;
  }

  /**
   * Makes the folder with `logs/` and `checkpoints/`, and starts `metrics.jsonl`. A run resumed after
   * `resumedEpochs` epochs keeps the lines of those epochs and drops what came after its checkpoint.
   */
  static open(folder: string, config: Config, resumedEpochs = 0): RunRecorder {
    writing(folder, () => {
      for (const part of ['logs', 'checkpoints']) makeFolder(join(folder, part));
    });
    const file = join(folder, 'metrics.jsonl');
    const kept = resumedEpochs > 0 ? linesBefore(file, resumedEpochs) : [];
    writeWhole(join(folder, 'config.yaml'), stringify(config));
    writeWhole(file, kept.map((line) => `${line}\n`).join(''));
    return new RunRecorder(folder, openSync(file, 'a'), new Set(kept.filter(isEpoch).map(epochOf)));
  }

  step(record: StepRecord): void {
    this.append(record);
  }

  epoch(record: EpochRecord): void {
    if (!this.recorded.has(record.epoch)) this.append(record);
  }

  ranks(record: RanksRecord): void {
    this.append(record);
  }

  /** Adds a line to `job/incidents.jsonl`: a fault that the run has gone on from. */
  incident(incident: object): void {
    const file = join(this.folder, 'job', 'incidents.jsonl');
    const line = JSON.stringify({ time: new Date().toISOString(), ...incident });
    writing(file, () => {
      makeFolder(join(this.folder, 'job'));
      const log = openSync(file, 'a');
      writeSync(log, `${line}\n`);
      closeSync(log);
    });
  }

  evaluated(evaluation: Evaluation): void {
    writeEvaluation(join(this.folder, 'evaluation.json'), evaluation);
  }

  finished(report: Report): void {
    writeWhole(join(this.folder, 'report.json'), `${JSON.stringify(report, null, 2)}\n`);
  }

  /** Ends the record; safe to call twice. */
  close(): void {
    if (this.metrics === undefined) return;
    closeSync(this.metrics);
    this.metrics = undefined;
  }

  private append(record: StepRecord | EpochRecord | RanksRecord): void {
    const { metrics } = this;
    if (metrics === undefined) return;
    writing(join(this.folder, 'metrics.jsonl'), () => writeSync(metrics, `${JSON.stringify(record)}\n`));
  }
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
    throw new UserError(
      'RUN_FOLDER_UNWRITABLE',
      `cannot write ${file}: ${reasonOf(error)}; once that is mended, --resume goes on from the newest checkpoint`,
    );
  }
}

function linesBefore(file: string, epochs: number): string[] {
  let text: string;
  try {
    text = regularBytes(file, mostMetricsBytes).toString('utf8');
  } catch {
    return [];
  }
  return text.split('\n').filter((line) => epochOf(line) < epochs);
}

function isEpoch(line: string): boolean {
  return (JSON.parse(line) as { kind?: string }).kind === 'epoch';
}

function epochOf(line: string): number {
  try {
    return (JSON.parse(line) as { epoch: number }).epoch;
  } catch {
    return Infinity;
  }
}
