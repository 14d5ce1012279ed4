import { closeSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { sync as writeFileAtomicSync } from 'write-file-atomic';
import { stringify } from 'yaml';
import type { Config } from '../config/schema.js';
import type { Evaluation } from '../evaluation/schema.js';
import type { EvaluationTotals } from '../evaluation/totals.js';
import type { EpochRecord, RanksRecord, StepRecord } from './reporter.js';

/** What `report.json` holds. */
export interface Report {
  worldSize: number;
  backend: string;
  /** Device of each rank. */
  devices: string[];
  /** Trainable numbers of the model. */
  parameters: number;
  epochs: number;
  evalCorrect: number;
  evalTotal: number;
  evalAccuracy: number;
  /** Training images of all ranks a second, evaluation left out. */
  samplesPerSecond: number;
  /** With several workers: share of the training time, over all ranks, that compute threads waited for collectives. */
  exposedShare?: number;
  centroidsSha256: string;
  weightsSha256: string;
  seconds: number;
}

/** Follows a run: the files in its folder, the console. */
export interface RunListener {
  step?(record: StepRecord): void;
  epoch?(record: EpochRecord, totals: EvaluationTotals): void;
  /** After `epoch`. */
  ranks?(record: RanksRecord): void;
  /** Told while a full evaluation goes on, of images that are done. */
  evaluating?(images: number): void;
  /** After a full evaluation. */
  evaluated?(evaluation: Evaluation): void;
  finished?(report: Report): void;
}

/** Writes `config.yaml`, `metrics.jsonl`, `evaluation.json` and `report.json` of one run folder. */
export class RunRecorder implements RunListener {
  private metrics: number | undefined;

  private constructor(
    readonly folder: string,
    metrics: number,
  ) {
    this.metrics = metrics;
  }

  /**
   * Makes the folder with `logs/` and `checkpoints/`, and starts `metrics.jsonl`. A run resumed after
   * `resumedEpochs` epochs keeps the lines of those epochs and drops what came after its checkpoint.
   */
  static open(folder: string, config: Config, resumedEpochs = 0): RunRecorder {
    for (const part of ['logs', 'checkpoints']) mkdirSync(join(folder, part), { recursive: true });
    writeFileAtomicSync(join(folder, 'config.yaml'), stringify(config));
    const file = join(folder, 'metrics.jsonl');
    writeFileAtomicSync(file, resumedEpochs > 0 ? linesBefore(file, resumedEpochs) : '');
    return new RunRecorder(folder, openSync(file, 'a'));
  }

  step(record: StepRecord): void {
    this.append(record);
  }

  epoch(record: EpochRecord): void {
    this.append(record);
  }

  ranks(record: RanksRecord): void {
    this.append(record);
  }

  evaluated(evaluation: Evaluation): void {
    writeEvaluation(join(this.folder, 'evaluation.json'), evaluation);
  }

  finished(report: Report): void {
    writeFileAtomicSync(join(this.folder, 'report.json'), `${JSON.stringify(report, null, 2)}\n`);
  }

  /** Ends the record; safe to call twice. */
  close(): void {
    if (this.metrics === undefined) return;
    closeSync(this.metrics);
    this.metrics = undefined;
  }

  private append(record: StepRecord | EpochRecord | RanksRecord): void {
    if (this.metrics !== undefined) writeSync(this.metrics, `${JSON.stringify(record)}\n`);
  }
}

/** Writes an evaluation as a JSON file, whole or not at all. */
export function writeEvaluation(file: string, evaluation: Evaluation): void {
  writeFileAtomicSync(file, `${JSON.stringify(evaluation)}\n`);
}

function linesBefore(file: string, epochs: number): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return '';
  }
  return text
    .split('\n')
    .filter((line) => epochOf(line) < epochs)
    .map((line) => `${line}\n`)
    .join('');
}

function epochOf(line: string): number {
  try {
    return (JSON.parse(line) as { epoch: number }).epoch;
  } catch {
    return Infinity;
  }
}
