import { createHash } from 'node:crypto';
import type { AugmentSettings } from './augment-schema.js';
import { Augmenter, checkAugmentation, checkNormalisation, type Normalisation } from './augment.js';
import type { Batch, BatchRequest, Dataset, SplitName } from './dataset.js';

/** Raw pixels and classes of one split. */
export interface StoredSplit {
  /** Row-major [images, height, width, channels]. */
  pixels: Uint8Array;
  labels: Int32Array;
}

/** A data set in memory. */
export interface StoredImages {
  name: string;
  classNames: readonly string[];
  /** [height, width, channels] */
  shape: readonly [number, number, number];
  /** Raw value of white: 255 for bytes. */
  white: number;
  splits: Readonly<Record<SplitName, StoredSplit>>;
}

/** Settings of reading a data set in memory. */
export interface StoredSettings {
  augment: AugmentSettings;
  normalize?: Normalisation;
}

/**
 * A data set whose images are all in memory; each batch is augmented when it is asked for, by (seed, epoch, image) alone.
 *
 * @throws UserError `CONFIG_INVALID` for a normalisation or an augmentation that does not fit the images
 * @example
 * import { storedDataset } from 'pod-dist';
 *
 * const split = { pixels: Uint8Array.of(0, 128, 255, 64), labels: Int32Array.of(0) };
 * const images = { name: 'one', classNames: ['a'], shape: [2, 2, 1], white: 255, splits: { train: split, test: split } } as const;
 * const dataset = storedDataset(images, { augment: { cropPadding: 0, flip: false, cutout: 0 } }, 1);
 * for await (const batch of dataset.read({ split: 'test', batches: [Int32Array.of(0)], epoch: 0 }))
 *   console.log(batch.images, batch.labels);
 */
export function storedDataset(
  images: StoredImages,
  { augment, normalize }: StoredSettings,
  seed: number,
): Dataset {
  const { name, classNames, shape, white, splits } = images;
  const [height, width, channels] = shape;
  checkNormalisation(normalize, channels);
  checkAugmentation(augment, shape);
  const size = height * width * channels;
  const augmenter = new Augmenter({ height, width, channels, white, normalize, ...augment, seed });
  let digest: string | undefined;

  async function* read({ split, batches, epoch }: BatchRequest): AsyncIterable<Batch> {
    const { pixels, labels } = splits[split];
    let memory = new Float32Array(0);
    for (const indices of batches) {
      const length = indices.length * size;
      if (memory.length < length) memory = new Float32Array(length);
      const output = memory.subarray(0, length);
      indices.forEach((index, position) => {
        const image = pixels.subarray(index * size, (index + 1) * size);
        const job = { pixels: image, index, epoch: split === 'train' ? epoch : -1 };
        augmenter.write(job, output, position * size);
      });
      yield { images: output, labels: indices.map((index) => labels[index]), count: indices.length };
    }
  }

  return {
    name,
    classNames,
    shape,
    labels: { train: splits.train.labels, test: splits.test.labels },
    fingerprint: () => Promise.resolve((digest ??= fingerprint(images))),
    read,
    close: async () => {},
  };
}

function fingerprint({ classNames, splits }: StoredImages): string {
  const hash = createHash('sha256').update(classNames.join('\n'));
  for (const { pixels, labels } of [splits.train, splits.test]) hash.update(pixels).update(labels);
  return hash.digest('hex');
}
