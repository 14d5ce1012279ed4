import type { Communicator } from '../collective/communicator.js';
import type { Config } from '../config/schema.js';
import type { Dataset } from '../data/dataset.js';
import { openUnknown } from '../data/index.js';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { evaluateInDetail } from '../evaluation/evaluate.js';
import type { Reporter } from '../record/reporter.js';
import { restoreClassifier } from '../checkpoint/restore.js';
import { checkSameData } from '../training/resume.js';

export interface EvaluateCheckpointOptions {
  checkpoint: Checkpoint;
  /** Configuration of the evaluation: the checkpoint's own, perhaps with other data. */
  config: Config;
  dataset: Dataset;
  communicator: Communicator;
  reporter: Reporter;
  /** Hears where the model computes in another precision than it was trained in. */
  onNotice?(line: string): void;
  /** Stops a job of one rank between two batches. */
  signal?: AbortSignal;
}

/**
 * Evaluates a checkpoint's model on the whole test split; every rank of the job calls it. The coordinator's combiner
 * holds the result.
 */
export async function evaluateCheckpoint(options: EvaluateCheckpointOptions): Promise<void> {
  const { checkpoint, config, dataset, communicator, reporter, onNotice, signal } = options;
  checkSameData(checkpoint, dataset);
  const unknown = await openUnknown(config, dataset);
  const { precision, evaluation } = config;
  const { weights } = evaluation;
  const classifier = await restoreClassifier(checkpoint, communicator, { precision, weights, onNotice });
  try {
    await reporter.agree('weights', classifier.weightsSha256());
    if (unknown) await reporter.agree('unknown images', await unknown.fingerprint());
    const { epochs } = checkpoint;
    const job = { classifier, dataset, unknown, communicator, reporter, settings: evaluation, signal };
    const part = await evaluateInDetail({ ...job, epoch: epochs - 1, trained: epochs });
    await reporter.gather('evaluation', part);
  } finally {
    classifier.dispose();
    await unknown?.close();
  }
}
