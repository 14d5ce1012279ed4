import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configSchema, type Config } from '../../src/config/schema.js';
import { evaluationSchema, type Evaluation } from '../../src/evaluation/schema.js';
import type { EvaluationSample } from '../../src/evaluation/sample.js';
import type { EpochRecord, Position, RanksRecord, Report, StepRecord } from '../../src/record/records.js';
import { RunRecorder } from '../../src/record/run-record.js';
import type { LoggedRun } from '../../src/logging/sink.js';

/** Steps per epoch of these runs: 1437 images, 100 per step. */
export const epochSteps = 15;
const images = 1437;

const config: Config = configSchema.parse({
  name: 'logged',
  metrics: 0,
  batchSize: 100,
  data: { name: 'digits' },
  model: { name: 'small-cnn' },
  learningRate: { schedule: 'constant', rate: 0.1 },
});

/** A run folder and its record, written by the recorder without training. */
export class RecordedRun {
  readonly folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
  readonly run: LoggedRun = { folder: this.folder, config, images };
  private recorder = RunRecorder.open(this.folder, config);

  steps(from: number, to: number): this {
    for (let step = from; step < to; step++) this.recorder.step(stepRecord(step));
    return this;
  }

  epoch(epoch: number): this {
    this.recorder.epoch(epochRecord(epoch), undefined, ranksRecord(epoch));
    return this;
  }

  incident(): this {
    const about = { generation: 1, rank: 1, host: 'here', worldSize: 2 };
    this.recorder.incident({ ...about, code: 'KILLED', cause: 'ended by SIGKILL', seconds: 0.75 });
    return this;
  }

  finish(): this {
    this.evaluate();
    this.recorder.finished(report);
    return this;
  }

  /** Writes an evaluation in which the first class has this name. */
  evaluate(name = '<0>'): this {
    const classNames = [name, ...evaluation.classNames.slice(1)];
    this.recorder.evaluated({ ...evaluation, classNames }, sample);
    return this;
  }

  /** Resumes from a checkpoint, which removes later records. */
  resume(position: Position): this {
    this.recorder.close();
    this.recorder = RunRecorder.open(this.folder, config, position);
    return this;
  }

  remove(): void {
    this.recorder.close();
    rmSync(this.folder, { recursive: true });
  }
}

function stepRecord(step: number): StepRecord {
  const epoch = Math.floor(step / epochSteps);
  const about = { kind: 'step' as const, epoch, step, lr: 0.1, samplesPerSecond: 1000, exposedMs: 20 };
  return { ...about, loss: 1 / (step + 1), nac: 0.5 / (step + 1), sc: 0.25, delta: 0.05 };
}

function epochRecord(epoch: number): EpochRecord {
  const counts = { evalCorrect: 3, evalTotal: 4, evalAccuracy: 0.75, perClassAccuracy: [0.5, 1] };
  return {
    kind: 'epoch',
    epoch,
    trainLoss: 0.5,
    ...counts,
    meanCosine: 0.875,
    seconds: 2,
    exposedShare: 0.25,
  };
}

function ranksRecord(epoch: number): RanksRecord {
  const ranks = [700, 737].map((count) => ({
    images: count,
    seconds: 1.5,
    loaderSeconds: 0.25,
    exposedSeconds: 0.5,
  }));
  return { kind: 'ranks', epoch, ranks };
}

const histogram = { from: 0, to: 180, counts: [1, 2, 1] };
const angles = { mean: 30, histogram };

const evaluation: Evaluation = evaluationSchema.parse({
  ...{ format: 1, dataset: 'digits', dim: 2, epochs: 2, accuracy: 0.75, meanCosine: 0.875, undirected: 0 },
  ...{
    classNames: Array.from({ length: 10 }, (_, digit) => `<${digit}>`),
    total: 4,
    correct: 3,
    cosineSum: 3.5,
  },
  ...{ classTotal: [2, 2, ...zeros(8)], classCorrect: [1, 2, ...zeros(8)] },
  confusion: [1, 1, ...zeros(10), 2, ...zeros(97)],
  topK: { k: 5, correct: 4, accuracy: 1 },
  ...{ classAngle: zeros(10), confusions: [{ label: 0, assigned: 1, images: 1 }], correlation: null },
  ...{ angles: { own: angles, other: angles }, norms: angles },
  reliability: { error: null, separation: null, bins: [] },
  rejection: { thresholds: [], accepted: [], correct: [] },
  plane: { vectors: [], x: [], y: [], labels: [], assigned: [] },
});

const sample: EvaluationSample = {
  dim: 2,
  images: Int32Array.of(0, 7, 30, 41),
  labels: Int32Array.of(0, 0, 1, 1),
  assigned: Int32Array.of(0, 1, 1, 1),
  features: Float32Array.of(1, 0, 0.5, 0.5, 0, 1, 0, 2),
};

const report: Report = {
  ...{ worldSize: 2, backend: 'wasm', devices: ['cpu', 'cpu'], parameters: 100, epochs: 2 },
  ...{ evalCorrect: 3, evalTotal: 4, evalAccuracy: 0.75, samplesPerSecond: 1000, seconds: 4 },
  ...{ centroidsSha256: '0'.repeat(64), weightsSha256: '1'.repeat(64) },
};

function zeros(count: number): number[] {
  return new Array<number>(count).fill(0);
}
