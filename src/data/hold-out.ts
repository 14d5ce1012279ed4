import { permutation, randomStream } from '../util/random.js';
import type { StoredImages, StoredSplit } from './stored-images.js';

/**
 * The same images with a share of the training images, of each class alike, in the place of the test images, to choose
 * settings by: the test images are then neither trained nor looked at. The choice depends on the labels alone.
 */
export function holdOut(images: StoredImages, share: number): StoredImages {
  if (share === 0) return images;
  const { train } = images.splits;
  const held = new Set(
    images.classNames.flatMap((_, label) => {
      const rows = [...train.labels.keys()].filter((row) => train.labels[row] === label);
      return Array.from(
        heldPlaces(rows.length, label, Math.round(share * rows.length)),
        (place) => rows[place],
      );
    }),
  );
  const rowsWhere = (wanted: boolean) => [...train.labels.keys()].filter((row) => held.has(row) === wanted);
  const splits = { train: rowsOf(train, rowsWhere(false)), test: rowsOf(train, rowsWhere(true)) };
  return { ...images, splits };
}

/** Which `held` of the `count` training images of a class are held out. */
export function heldPlaces(count: number, label: number, held: number): Int32Array {
  return permutation(count, randomStream(0x401d, label)).subarray(0, held);
}

/** Some of the images of a split. */
export function rowsOf({ pixels, labels }: StoredSplit, rows: ArrayLike<number>): StoredSplit {
  const size = pixels.length / labels.length;
  const chosen = new Uint8Array(rows.length * size);
  const own = new Int32Array(rows.length);
  for (let position = 0; position < rows.length; position++) {
    const row = rows[position];
    chosen.set(pixels.subarray(row * size, (row + 1) * size), position * size);
    own[position] = labels[row];
  }
  return { pixels: chosen, labels: own };
}
