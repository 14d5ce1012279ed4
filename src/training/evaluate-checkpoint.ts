import type { Communicator } from '../collective/communicator.js';
import type { Dataset } from '../data/dataset.js';
import { UserError } from '../errors.js';
import type { EvaluationTotals } from '../evaluation/totals.js';
import type { Checkpoint } from './checkpoint.js';
import { evaluate } from './evaluate.js';
import type { Reporter } from './reporter.js';
import { restoreClassifier } from './restore.js';

export interface EvaluateCheckpointOptions {
  checkpoint: Checkpoint;
  dataset: Dataset;
  communicator: Communicator;
  reporter: Reporter;
}

/** Totals over the whole test split of a checkpoint's model; every rank of the job calls it. */
export async function evaluateCheckpoint(options: EvaluateCheckpointOptions): Promise<EvaluationTotals> {
  const { checkpoint, dataset, communicator, reporter } = options;
  const { config, classNames, shape } = checkpoint;
  if (classNames.join('\n') !== dataset.classNames.join('\n') || shape.join() !== dataset.shape.join()) {
    throw new UserError(
      'CHECKPOINT_MISMATCH',
      `the checkpoint knows ${classNames.length} classes of ${shape.join('x')} images, the data set ${dataset.name} has ` +
        `${dataset.classNames.length} of ${dataset.shape.join('x')}: give the data set it was trained on`,
    );
  }
  const classifier = await restoreClassifier(checkpoint, communicator);
  await reporter.agree('weights', classifier.weightsSha256());
  const { batchSize } = config.evaluation;
  const totals = await evaluate({
    classifier,
    dataset,
    communicator,
    reporter,
    batchSize,
    epoch: checkpoint.epochs,
  });
  return (await reporter.gather('evaluate', totals)) as EvaluationTotals;
}
