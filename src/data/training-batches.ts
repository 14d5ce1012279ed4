import { shardRange } from '../collective/communicator.js';
import type { AugmentSettings } from './augment-schema.js';
import type { Batch, BatchRequest, Dataset } from './dataset.js';
import { drawMix, isMixing, mixInPlace, type Mix } from './mixing.js';
import { rankSlice } from './sampler.js';

interface TrainingRequest {
  /** Image indices of every global batch of the epoch. */
  global: readonly Int32Array[];
  /** The global batch to begin with; default: the first. */
  first?: number;
  rank: number;
  worldSize: number;
  epoch: number;
  seed: number;
  augment: AugmentSettings;
}

/**
 * A rank's parts of global batches, mixed as the settings say.
 *
 * The partner of an image is the one before it in the global batch, whose order is drawn by (seed, epoch); that of the first
 * is the last. So a rank reads one image more than its own, the partner of its first one, and no pixels travel. How a batch
 * is mixed follows from its place in the epoch, and an image from (seed, epoch, image); hence a mixed image is the same to the
 * bit for any number of ranks, and wherever a run goes on.
 */
export function readTraining(
  dataset: Dataset,
  { global, first = 0, rank, worldSize, epoch, seed, augment }: TrainingRequest,
): AsyncIterable<Batch> {
  const wanted = global.slice(first);
  if (!isMixing(augment)) {
    const batches = wanted.map((batch) => rankSlice(batch, rank, worldSize));
    return dataset.read({ split: 'train', batches, epoch });
  }
  const { shape } = dataset;
  const mixes = wanted.map((_, index) => drawMix(augment, { seed, epoch, batch: first + index, shape }));
  const batches = wanted.map((batch, index) =>
    mixes[index] ? withPartner(batch, rank, worldSize) : rankSlice(batch, rank, worldSize),
  );
  return mixed(dataset, { split: 'train', batches, epoch, mixes });
}

/** A rank's part of a batch, behind the partner of its first image; nothing where it has none. */
function withPartner(batch: Int32Array, rank: number, worldSize: number): Int32Array {
  const [start, end] = shardRange(batch.length, rank, worldSize);
  if (start === end) return new Int32Array(0);
  const part = new Int32Array(end - start + 1);
  part[0] = batch[(start + batch.length - 1) % batch.length];
  part.set(batch.subarray(start, end), 1);
  return part;
}

async function* mixed(
  dataset: Dataset,
  request: BatchRequest & { mixes: readonly (Mix | undefined)[] },
): AsyncIterable<Batch> {
  const { shape, mixes: already } = dataset;
  const { mixes, ...plain } = request;
  let next = 0;
  for await (const batch of dataset.read(already ? request : plain)) {
    const mix = mixes[next++];
    if (mix && !already && batch.count > 0) mixInPlace(batch.images, mix, shape);
    yield mix ? withoutFirst(batch, mix, shape) : batch;
  }
}

function withoutFirst(
  { images, labels, count }: Batch,
  { share }: Mix,
  [height, width, channels]: Dataset['shape'],
): Batch {
  return {
    images: images.subarray(Math.min(images.length, height * width * channels)),
    labels: labels.subarray(Math.min(1, count)),
    count: Math.max(0, count - 1),
    mixed: { labels: labels.subarray(0, Math.max(0, count - 1)), share },
  };
}
