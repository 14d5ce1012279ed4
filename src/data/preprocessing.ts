import { pixelRulesOf, type PixelRules } from './pixel-rules.js';
import type { DataConfig } from './index.js';
import { messageOf, UserError } from '../util/errors.js';
import { Augmenter, type Normalisation } from './augment.js';
import { decodeBytes, decodeImage, type DecodeOptions } from './decode.js';
import { standardInput } from './find-images.js';
import { notAnImage } from './image-file.js';
import { readStandardInput } from './standard-input.js';

/** Steps that turn an image file into a network's input, as a run applied them to its test images. */
export interface Preprocessing {
  /** Side of the input in pixels. */
  size: number;
  channels: 1 | 3;
  /** Shorter side of the whole image before the centre of `size` x `size` is cut out; else it is stretched. */
  resize?: number;
  /** Normalisation of values in 0..1. */
  normalize?: Normalisation;
  rules: PixelRules;
}

/**
 * The preprocessing of a run's test images, from its data settings and the shape of its images, [height, width,
 * channels]. Image files have levels 0 to 255, whatever the data set was stored with.
 *
 * @throws UserError `IMAGES_NOT_SQUARE` for a data set of oblong images, to which files are not brought
 */
export function preprocessingOf(data: DataConfig, shape: readonly [number, number, number]): Preprocessing {
  const [height, width, channels] = shape;
  if (height !== width) {
    throw new UserError(
      'IMAGES_NOT_SQUARE',
      `the model was trained on images of ${width}x${height} pixels: only those of square ones take image files`,
    );
  }
  const resize = 'resize' in data ? data.resize : undefined;
  return {
    size: height,
    channels: channels === 1 ? 1 : 3,
    resize,
    normalize: data.normalize,
    rules: pixelRulesOf(data),
  };
}

/** Some image files as a network's input. */
export interface ImageBatch {
  /** Files that could be read, in order. */
  files: string[];
  /** Row-major [files, size, size, channels], normalised. */
  images: Float32Array;
  /** Animated images of `files`, of which the first frame is read. */
  animated: Set<string>;
  /** Files that could not be read, each with its error. */
  broken: { file: string; error: UserError }[];
}

/**
 * Reads image files, and standard input for `-`, in batches of at most `batchSize`, in order, one batch ahead of the one
 * being used. What a batch holds of its files at a time is bounded (`decodeImage`).
 */
export async function* readImageFiles(
  files: readonly string[],
  preprocessing: Preprocessing,
  batchSize: number,
): AsyncIterable<ImageBatch> {
  const batches = Array.from({ length: Math.ceil(files.length / batchSize) }, (_, index) =>
    files.slice(index * batchSize, (index + 1) * batchSize),
  );
  let ahead = batches.length > 0 ? readBatch(batches[0], preprocessing) : undefined;
  for (let index = 1; ahead; index++) {
    const batch = await ahead;
    ahead = index < batches.length ? readBatch(batches[index], preprocessing) : undefined;
    yield batch;
  }
}

async function readBatch(files: readonly string[], preprocessing: Preprocessing): Promise<ImageBatch> {
  const { size, channels, normalize } = preprocessing;
  const inputs = { height: size, width: size, channels, white: 255, normalize };
  const augmenter = new Augmenter({ ...inputs, cropPadding: 0, flip: false, cutout: 0, seed: 0 });
  const batch: ImageBatch = { files: [], images: new Float32Array(0), animated: new Set(), broken: [] };
  const decoded = await Promise.allSettled(
    files.map((file) => decode(file, { ...preprocessing, onAnimated: () => void batch.animated.add(file) })),
  );
  const pixels: Uint8Array[] = [];
  decoded.forEach((result, index) => {
    const file = files[index];
    if (result.status === 'fulfilled') {
      batch.files.push(file);
      pixels.push(result.value);
    } else if (result.reason instanceof UserError) {
      batch.broken.push({ file, error: result.reason });
    } else throw result.reason;
  });
  const length = size * size * channels;
  batch.images = new Float32Array(pixels.length * length);
  pixels.forEach((one, index) =>
    augmenter.write({ pixels: one, index: 0, epoch: -1 }, batch.images, index * length),
  );
  return batch;
}

async function decode(file: string, options: DecodeOptions): Promise<Uint8Array> {
  if (file !== standardInput) return decodeImage(file, options);
  const bytes = await readStandardInput().catch((error: unknown) => {
    throw notAnImage('standard input', messageOf(error));
  });
  return decodeBytes({ file: 'standard input', bytes }, options);
}
