import { chosenValues } from '../checkpoint/averages.js';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import type { Classifier } from '../classifier/classifier.js';
import { classLayer } from '../classifier/layer-groups.js';
import type { Config } from '../config/schema.js';
import { matchesPattern } from '../models/layer-patterns.js';
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
  /** Names of its classes. */
  classNames: readonly string[];
  /** Flat moving statistics, and their averages where there are some, to be written. */
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
  { classifier, classNames, moving, config, onNotice }: TakeOptions,
): void {
  const { model, init } = config;
  const targets = targetsOf(classifier.forward.model, model, { weights: classifier.weights, moving });
  const options = { model: model.name, skip: init?.skip ?? [], onMismatch: onNotice };
  onNotice(fitWeights(targets, sourceOf(initial, targets, classifier.batchNorm.length), options));
  const { length } = classifier.batchNorm;
  if (moving.length > length) moving.set(moving.subarray(0, length), length);
  const { checkpoint } = initial;
  if (!checkpoint || matchesAny(options.skip, classLayer)) return;
  const all = checkpoint.classNames.every((name) => classNames.includes(name));
  if (init?.classes === 'keep' || (init?.classes === 'auto' && all))
    takeClasses(evaluated(checkpoint), classifier, classNames);
}

/** Takes over the trained weights of the classes that a checkpoint has, by name. */
function takeClasses(
  checkpoint: Checkpoint,
  { parameters, weights }: Classifier,
  names: readonly string[],
): void {
  const labels = new Map(names.map((name, label) => [name, label]));
  const own = new Map(parameters.slots.map((slot) => [plainName(slot.name), slot]));
  for (const { name, shape, offset } of checkpoint.slots) {
    const slot = own.get(plainName(name));
    const row = shape[1] ?? 1;
    if (!plainName(name).startsWith(`${classLayer}/`) || !slot || (slot.shape[1] ?? 1) !== row) continue;
    checkpoint.classNames.forEach((className, before) => {
      const label = labels.get(className);
      if (label === undefined) return;
      const start = offset + before * row;
      weights.set(checkpoint.weights.subarray(start, start + row), slot.offset + label * row);
    });
  }
}

/** The name of a variable without the number that tells it from those of another model of the process. */
function plainName(name: string): string {
  return name.replace(/_\d+$/, '');
}

function matchesAny(patterns: readonly string[], name: string): boolean {
  return patterns.some((pattern) => matchesPattern(pattern, [name]));
}

function sourceOf(initial: InitialWeights, targets: readonly Target[], moving: number): WeightSource {
  const { name, checkpoint } = initial;
  if (!checkpoint) return { name, tensors: initial.tensors, kind: 'pytorch' };
  return { name, tensors: tensorsOf(evaluated(checkpoint), targets, moving), kind: 'layers' };
}

/** A checkpoint with the weights and statistics by which it is evaluated. */
function evaluated(checkpoint: Checkpoint): Checkpoint {
  return { ...checkpoint, ...chosenValues(checkpoint, checkpoint.config.evaluation.weights) };
}

/**
 * The tensors of a checkpoint by layer and weight, without the weights of its classes. Moving statistics have no names in it:
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
    const plain = plainName(name);
    if (!plain.startsWith(`${classLayer}/`)) tensors.set(plain, { shape, read: () => values });
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
