import { chosenValues } from '../checkpoint/averages.js';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import type { Classifier } from '../classifier/classifier.js';
import type { Config } from '../config/schema.js';
import { fitWeights, type WeightSource } from '../weights/fit.js';
import { openWeights, type OpenedWeights } from '../weights/open-weights.js';
import { targetsOf, type Target } from '../weights/targets.js';
import type { StoredTensor } from '../weights/tensors.js';

/** Weights that a run starts from. */
export type InitialWeights = OpenedWeights;

/** Opens the weights that a recipe starts from; undefined where these are random. */
export async function openInitial(
  { init }: Config,
  notify: (line: string) => void,
): Promise<InitialWeights | undefined> {
  return init && openWeights(init.from, notify);
}

interface TakeOptions {
  classifier: Classifier;
  /** Flat moving statistics, to be written. */
  moving: Float32Array;
  config: Config;
  onNotice(line: string): void;
}

/**
 * Writes initial weights into those of a classifier and into its moving statistics.
 *
 * @throws UserError `WEIGHTS_MISMATCH`
 */
export function takeInitial(
  initial: InitialWeights,
  { classifier, moving, config, onNotice }: TakeOptions,
): void {
  const { model, init } = config;
  const targets = targetsOf(classifier.forward.model, model, { weights: classifier.weights, moving });
  const options = { model: model.name, skip: init?.skip ?? [], onMismatch: onNotice };
  onNotice(fitWeights(targets, sourceOf(initial, targets, classifier.batchNorm.length), options));
}

function sourceOf(initial: InitialWeights, targets: readonly Target[], moving: number): WeightSource {
  const { name, checkpoint } = initial;
  if (!checkpoint) return { name, tensors: initial.tensors, kind: 'pytorch' };
  const { weights } = checkpoint.config.evaluation;
  const evaluated = { ...checkpoint, ...chosenValues(checkpoint, weights) };
  return { name, tensors: tensorsOf(evaluated, targets, moving), kind: 'layers' };
}

/**
 * The tensors of a checkpoint, as it is evaluated, by layer and weight, without the weights of its classes. Moving statistics have no names in it:
 * they are those of the batch norms of this network, where they are as many numbers.
 */
function tensorsOf(
  checkpoint: Checkpoint,
  targets: readonly Target[],
  moving: number,
): Map<string, StoredTensor> {
  const tensors = new Map<string, StoredTensor>();
  for (const { name, shape, offset, size } of checkpoint.slots) {
    const values = checkpoint.weights.subarray(offset, offset + size);
    const plain = name.replace(/_\d+$/, '');
    if (!plain.startsWith('classes/')) tensors.set(plain, { shape, read: () => values });
  }
  if (checkpoint.moving.length !== moving) return tensors;
  let next = 0;
  for (const { name, shape, values } of targets.filter((target) => isMoving(target.name))) {
    const own = checkpoint.moving.subarray(next, (next += values.length));
    tensors.set(name, { shape, read: () => own });
  }
  return tensors;
}

function isMoving(name: string): boolean {
  return /\/moving_(?:mean|variance)$/.test(name);
}
