import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { restoreClassifier } from '../checkpoint/restore.js';
import type { Communicator } from '../collective/communicator.js';
import type { Config } from '../config/schema.js';
import type { Dataset } from '../data/dataset.js';
import { forEachFeatures } from '../evaluation/evaluate.js';
import type { Reporter } from '../record/reporter.js';

export interface ExtractOptions {
  checkpoint: Checkpoint;
  config: Config;
  /** The images are its test images. */
  dataset: Dataset;
  communicator: Communicator;
  reporter: Reporter;
  /** Folder of the parts, which all ranks reach. */
  folder: string;
  signal?: AbortSignal;
}

/** The file of a rank's part: features of consecutive images, little-endian float32, row by row; in rank order all images. */
export function partOf(folder: string, rank: number): string {
  return join(folder, `part-${rank}.f32`);
}

/** Writes this rank's share of the features of all test images; every rank of the job calls it. */
export async function extractFeatures(options: ExtractOptions): Promise<void> {
  const { checkpoint, config, communicator, reporter, folder } = options;
  const classifier = await restoreClassifier(checkpoint, communicator, {
    weights: config.evaluation.weights,
  });
  const parts: Buffer[] = [];
  try {
    await reporter.agree('weights', classifier.weightsSha256());
    await classifier.batchNorm.publish();
    const about = { ...options, classifier, settings: config.evaluation, epoch: checkpoint.epochs - 1 };
    await forEachFeatures(about, options.dataset, (features, { count }) => {
      const values = features.dataSync<'float32'>().slice();
      parts.push(Buffer.from(values.buffer));
      reporter.record({ kind: 'evaluated', images: count });
    });
    writeFileSync(partOf(folder, communicator.rank), Buffer.concat(parts));
  } finally {
    classifier.dispose();
  }
}
