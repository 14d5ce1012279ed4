import { precisionHere } from '../backend/running.js';
import type { Communicator } from '../collective/communicator.js';
import type { Precision } from '../backend/precision.js';
import type { WeightsChoice } from '../optim/average.js';
import { chosenValues } from './averages.js';
import type { Checkpoint } from './checkpoint.js';
import { Classifier } from '../classifier/classifier.js';
import { checkFits } from './fits.js';

interface RestoreOptions {
  precision?: Precision;
  /** Which weights, where the checkpoint has averaged ones; default: as its recipe says. */
  weights?: WeightsChoice;
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
  {
    precision: wanted = checkpoint.config.precision,
    weights: choice = checkpoint.config.evaluation.weights,
    onNotice = () => {},
  }: RestoreOptions = {},
): Promise<Classifier> {
  const { classNames, shape, centroids } = checkpoint;
  const { ema, ...rest } = checkpoint.config;
  const config = { ...rest, ema: { ...ema, decay: undefined }, precision: precisionHere(wanted, onNotice) };
  const { weights, moving } = chosenValues(checkpoint, choice);
  const classes = classNames.length;
  const classifier = await Classifier.create({ config, shape, classes, communicator, centroids });
  checkFits({ ...checkpoint, weights, moving }, classifier, config);
  classifier.weights.set(weights);
  classifier.batchNorm.restore(moving);
  classifier.loadWeights();
  return classifier;
}
