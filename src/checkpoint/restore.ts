import type { Communicator } from '../collective/communicator.js';
import type { Checkpoint } from './checkpoint.js';
import { Classifier } from '../classifier/classifier.js';
import { checkFits } from './fits.js';

/**
 * The classifier of a checkpoint, with its weights and moving statistics; every rank of a job calls it.
 *
 * @throws UserError as `checkFits` does
 */
export async function restoreClassifier(
  checkpoint: Checkpoint,
  communicator: Communicator,
): Promise<Classifier> {
  const { config, classNames, shape } = checkpoint;
  const classifier = await Classifier.create({ config, shape, classes: classNames.length, communicator });
  checkFits(checkpoint, classifier, config);
  classifier.weights.set(checkpoint.weights);
  classifier.batchNorm.restore(checkpoint.moving);
  classifier.loadWeights();
  return classifier;
}
