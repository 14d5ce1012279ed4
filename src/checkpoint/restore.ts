import { precisionHere } from '../backend/running.js';
import type { Communicator } from '../collective/communicator.js';
import type { Precision } from '../backend/precision.js';
import type { Checkpoint } from './checkpoint.js';
import { Classifier } from '../classifier/classifier.js';
import { checkFits } from './fits.js';

interface RestoreOptions {
  precision?: Precision;
  onNotice?(line: string): void;
}

/**
 * The classifier of a checkpoint, with its weights and moving statistics; every rank of a job calls it. It computes in the
 * precision that it was trained in, or another one that is given, and in float32 where the backend cannot: `onNotice`
 * hears that.
 *
 * @throws UserError as `checkFits` does
 */
export async function restoreClassifier(
  checkpoint: Checkpoint,
  communicator: Communicator,
  { precision: wanted = checkpoint.config.precision, onNotice = () => {} }: RestoreOptions = {},
): Promise<Classifier> {
  const { classNames, shape } = checkpoint;
  const config = { ...checkpoint.config, precision: precisionHere(wanted, onNotice) };
  const classifier = await Classifier.create({ config, shape, classes: classNames.length, communicator });
  checkFits(checkpoint, classifier, config);
  classifier.weights.set(checkpoint.weights);
  classifier.batchNorm.restore(checkpoint.moving);
  classifier.loadWeights();
  return classifier;
}
