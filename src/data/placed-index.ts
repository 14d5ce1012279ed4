import { UserError } from '../util/errors.js';
import type { SplitName } from './dataset.js';
import { heldPlaces } from './hold-out.js';
import { listed, type ImageIndex, type SplitIndex } from './image-index.js';
import type { ImageContainer } from './places/container.js';

/** An image within a container. */
export interface PlacedImage {
  /** Name in messages. */
  file: string;
  className: string;
  /** Number of its container. */
  container: number;
  offset: number;
  size: number;
}

/** The images of a split in their order, and the containers that they are in. */
export interface PlacedSplit {
  containers: readonly ImageContainer[];
  images: readonly PlacedImage[];
}

/** A source of images that are not files of their own: how to list them. */
export interface PlacedSource {
  /** Name of the data set in messages. */
  root: string;
  read(split: SplitName): Promise<PlacedSplit>;
  /** Brings the names of classes into their order. */
  sort(names: string[]): string[];
}

export interface PlacedOptions {
  /** Share of the training images that are the test images. */
  holdOut: number;
  /** Classes of a model whose test images alone are wanted, and what is done with those of others. */
  evaluated?: readonly string[];
  otherClasses?: 'refuse' | 'leave-out';
  notify(line: string): void;
  /** Called for each fault; what is fine is listed anyway. Default: the first fault is thrown. */
  onFault?(fault: UserError): void;
}

/**
 * Brings images, classes and splits together. Both splits must have the same classes.
 *
 * @throws UserError `DATA_INVALID`; `CHECKPOINT_MISMATCH` for classes that the model does not know
 */
export async function indexPlaced(source: PlacedSource, options: PlacedOptions): Promise<ImageIndex> {
  const { root } = source;
  const { holdOut, evaluated, notify } = options;
  const classesOf = ({ images }: PlacedSplit) =>
    source.sort([...new Set(images.map(({ className }) => className))]);
  if (evaluated && holdOut === 0) {
    const test = knownOf(root, await source.read('test'), evaluated, options);
    return { classNames: evaluated, splits: { train: splitOf(none, []), test: splitOf(test, evaluated) } };
  }
  const train = await source.read('train');
  const classNames = classesOf(train);
  if (classNames.length === 1)
    notify(`${root} holds one class only, ${classNames[0]}: a classifier needs two or more`);
  if (holdOut === 0) {
    const test = await source.read('test');
    checkAlike(root, classNames, classesOf(test), options);
    return { classNames, splits: { train: splitOf(train, classNames), test: splitOf(test, classNames) } };
  }
  if (evaluated && evaluated.join('\0') !== classNames.join('\0'))
    throw new UserError(
      'CHECKPOINT_MISMATCH',
      `${root} has the classes ${listed(classNames)}, the checkpoint knows ${listed(evaluated)}`,
    );
  const held = heldOut(root, train, classNames, holdOut);
  const pick = (wanted: boolean): PlacedSplit => ({
    ...train,
    images: train.images.filter((_, image) => held.has(image) === wanted),
  });
  return {
    classNames,
    splits: { train: splitOf(pick(false), classNames), test: splitOf(pick(true), classNames) },
  };
}

const none: PlacedSplit = { containers: [], images: [] };

function checkAlike(
  root: string,
  train: readonly string[],
  test: readonly string[],
  { onFault }: PlacedOptions,
): void {
  const fault = (problem: string) => {
    const error = new UserError('DATA_INVALID', `${root}: ${problem}`);
    if (!onFault) throw error;
    onFault(error);
  };
  const strange = without(test, train);
  const missing = without(train, test);
  if (strange.length > 0) fault(`the test images have classes that those of train lack: ${listed(strange)}`);
  if (missing.length > 0) fault(`there are no test images of ${listed(missing)}: every class needs some`);
}

/** The test images of classes that the model knows. */
function knownOf(
  root: string,
  test: PlacedSplit,
  known: readonly string[],
  { otherClasses, notify }: PlacedOptions,
): PlacedSplit {
  const found = [...new Set(test.images.map(({ className }) => className))];
  const strange = without(found, known);
  const leaveOut = otherClasses === 'leave-out' && strange.length < found.length;
  if (strange.length > 0 && !leaveOut)
    throw new UserError(
      'CHECKPOINT_MISMATCH',
      `${root} has classes that the checkpoint does not know: ${listed(strange)}; it knows ${listed(known)}`,
    );
  if (strange.length > 0)
    notify(`${root}: ${listed(strange)} are left out: the checkpoint does not know them`);
  const missing = without(known, found);
  if (missing.length > 0)
    notify(`${root} has no test images of ${listed(missing)}: the evaluation is of the other classes`);
  const names = new Set(known);
  return { ...test, images: test.images.filter(({ className }) => names.has(className)) };
}

/** The names that are not among `others`. */
function without(names: readonly string[], others: readonly string[]): string[] {
  const there = new Set(others);
  return names.filter((name) => !there.has(name));
}

/** Numbers of the images that are held out: a share of each class, one at least. */
function heldOut(
  root: string,
  { images }: PlacedSplit,
  classNames: readonly string[],
  share: number,
): Set<number> {
  const byClass = new Map<string, number[]>(classNames.map((name) => [name, []]));
  images.forEach(({ className }, image) => byClass.get(className)?.push(image));
  const held = new Set<number>();
  classNames.forEach((name, label) => {
    const own = byClass.get(name) ?? [];
    if (own.length === 1)
      throw new UserError('DATA_INVALID', `${root} has one image of ${name}: data.holdOut needs two`);
    const count = Math.max(1, Math.round(share * own.length));
    for (const place of heldPlaces(own.length, label, count)) held.add(own[place]);
  });
  return held;
}

function splitOf({ containers, images }: PlacedSplit, classNames: readonly string[]): SplitIndex {
  const labels = new Map(classNames.map((name, label) => [name, label]));
  const parts = {
    containers,
    container: new Uint32Array(new SharedArrayBuffer(4 * images.length)),
    offset: new Float64Array(new SharedArrayBuffer(8 * images.length)),
    size: new Float64Array(new SharedArrayBuffer(8 * images.length)),
  };
  images.forEach(({ container, offset, size }, image) => {
    parts.container[image] = container;
    parts.offset[image] = offset;
    parts.size[image] = size;
  });
  return {
    files: images.map(({ file }) => file),
    // A fault that has been reported leaves test images without a class.
    labels: Int32Array.from(images, ({ className }) => labels.get(className) ?? 0),
    parts,
  };
}
