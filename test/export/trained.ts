import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { initBackend } from '../../src/backend/index.js';
import { configSchema } from '../../src/config/schema.js';
import { openDataset } from '../../src/data/index.js';
import { exportCheckpoint, writeExportFolder, type ExportFormat } from '../../src/export/index.js';
import { trainAlone } from '../../src/training/alone.js';
import type { Checkpoint } from '../../src/checkpoint/checkpoint.js';
import { findCheckpoint } from '../../src/checkpoint/checkpoints.js';
import { Predictor } from '../../src/inference/predictor.js';

/** A digits model trained for one epoch, its scores of some test images, and its export folders. */
export class TrainedDigits {
  readonly count = 24;
  /** Row-major [count, 8, 8, 1]. */
  images!: Float32Array;
  /** Scores of `Predictor` for the images, [count][10]. */
  scores!: number[][];
  readonly folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
  private checkpoint!: Checkpoint;

  static async train(loss = 'pod', model: object = {}): Promise<TrainedDigits> {
    const trained = new TrainedDigits();
    const config = configSchema.parse({
      backend: 'wasm',
      epochs: 1,
      batchSize: 96,
      data: { name: 'digits', normalize: { mean: [0.3], std: [0.4] } },
      model: { name: 'small-cnn', dim: 16, channels: [8, 16], strides: [1, 2], batchNorm: true, ...model },
      loss: { name: loss },
      learningRate: { schedule: 'constant', rate: 0.05 },
    });
    await initBackend('wasm');
    await trainAlone(config, { outDir: join(trained.folder, 'run') });
    trained.checkpoint = (await findCheckpoint(join(trained.folder, 'run'))).checkpoint;
    await trained.predict();
    return trained;
  }

  async export(format: ExportFormat, checkpoint = this.checkpoint): Promise<string> {
    const folder = join(this.folder, format);
    await writeExportFolder(folder, await exportCheckpoint(checkpoint, format));
    return folder;
  }

  clear(): void {
    rmSync(this.folder, { recursive: true });
  }

  private async predict(): Promise<void> {
    const { config } = this.checkpoint;
    const dataset = await openDataset(config.data, { seed: 1 });
    const batches = [Int32Array.from({ length: this.count }, (_, index) => 15 * index)];
    for await (const batch of dataset.read({ split: 'test', batches, epoch: 0 })) this.images = batch.images;
    const predictor = await Predictor.create(this.checkpoint);
    this.scores = predictor.predict(this.images, 10).map((top) => {
      const row = new Array<number>(10);
      for (const { index, score } of top) row[index] = score;
      return row;
    });
    predictor.dispose();
  }
}

/** Largest difference between two tables of scores. */
export function largestDifference(a: readonly number[][], b: readonly number[][]): number {
  if (a.length !== b.length) return Infinity;
  return Math.max(...a.flatMap((row, at) => row.map((score, index) => Math.abs(score - b[at][index]))));
}

/** Splits flat numbers into rows of `width`. */
export function rowsOf(values: ArrayLike<number>, width: number): number[][] {
  const flat = Array.from(values);
  return Array.from({ length: flat.length / width }, (_, row) => flat.slice(row * width, (row + 1) * width));
}

/** Images [b, height, width, channels] as [b, channels, height, width]. */
export function channelsFirst(
  images: Float32Array,
  [count, height, width, channels]: readonly [number, number, number, number],
): Float32Array {
  const pixels = height * width;
  const result = new Float32Array(images.length);
  for (let image = 0; image < count; image++) {
    for (let pixel = 0; pixel < pixels; pixel++) {
      for (let channel = 0; channel < channels; channel++) {
        result[(image * channels + channel) * pixels + pixel] =
          images[(image * pixels + pixel) * channels + channel];
      }
    }
  }
  return result;
}
