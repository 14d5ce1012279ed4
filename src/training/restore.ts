import type { Communicator } from '../collective/communicator.js';
import { UserError } from '../errors.js';
import type { Checkpoint } from './checkpoint.js';
import { Classifier } from './classifier.js';
import type { Slot } from './parameters.js';

/**
 * The classifier of a checkpoint, with its weights and moving statistics; every rank of a job calls it.
 *
 * @throws UserError `CHECKPOINT_MISMATCH` where the model that its configuration names has changed since
 */
export async function restoreClassifier(
  checkpoint: Checkpoint,
  communicator: Communicator,
): Promise<Classifier> {
  const { config, classNames, shape } = checkpoint;
  const classifier = await Classifier.create({ config, shape, classes: classNames.length, communicator });
  if (layoutOf(checkpoint.slots) !== layoutOf(classifier.parameters.slots)) {
    const model = config.model.name === 'module' ? config.model.path : config.model.name;
    throw new UserError(
      'CHECKPOINT_MISMATCH',
      `the checkpoint's weights do not fit the model ${model}: it has changed since it was trained`,
    );
  }
  classifier.weights.set(checkpoint.weights);
  classifier.batchNorm.restore(checkpoint.moving);
  classifier.loadWeights();
  return classifier;
}

/** The shapes of all variables, to compare. */
export function layoutOf(slots: readonly Slot[]): string {
  return JSON.stringify(slots.map(({ shape }) => shape));
}
