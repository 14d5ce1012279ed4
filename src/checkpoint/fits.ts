import type { Classifier } from '../classifier/classifier.js';
import type { Config } from '../config/schema.js';
import type { Slot } from '../parallel/parameters.js';
import { UserError } from '../util/errors.js';
import type { Checkpoint } from './checkpoint.js';

/**
 * Refuses a checkpoint whose arrays are not those of this classifier, which `config` describes.
 *
 * @throws UserError `CHECKPOINT_MISMATCH`, or `CHECKPOINT_CORRUPT` for arrays of another length than it says itself
 */
export function checkFits(checkpoint: Checkpoint, classifier: Classifier, { loss, model }: Config): void {
  const { slots, weights, moving, centroidsSha256, config } = checkpoint;
  if (layoutOf(slots) !== layoutOf(classifier.parameters.slots)) {
    const name = model.name === 'module' ? model.path : model.name;
    const why =
      config.loss.name === loss.name
        ? `the model ${name} has changed, or the data set has other classes`
        : `the loss was ${config.loss.name} and is ${loss.name} now`;
    throw new UserError(
      'CHECKPOINT_MISMATCH',
      `the checkpoint's weights do not fit: ${why} since it was trained`,
    );
  }
  const expected = [classifier.weights.length, classifier.batchNorm.flatten().length];
  if (weights.length !== expected[0] || moving.length !== expected[1]) {
    throw new UserError(
      'CHECKPOINT_CORRUPT',
      `the checkpoint holds ${weights.length} weights and ${moving.length} moving statistics, the model has ${expected.join(' and ')}`,
    );
  }
  if (centroidsSha256 !== undefined && centroidsSha256 !== classifier.centroidsSha256) {
    throw new UserError(
      'CHECKPOINT_MISMATCH',
      'the checkpoint was trained towards other centroids than are made here of the same seed',
    );
  }
}

/** The shapes of all variables, to compare. */
function layoutOf(slots: readonly Slot[]): string {
  return JSON.stringify(slots.map(({ shape }) => shape));
}
