import { totalmem } from 'node:os';
import type * as tf from '../tf/index.js';
import { backendOf } from '../backend/backends.js';
import type { Backend } from '../backend/index.js';
import type { Classifier } from '../classifier/classifier.js';
import type { Communicator } from '../collective/communicator.js';
import type { Config } from '../config/schema.js';
import type { Dataset } from '../data/dataset.js';
import { gigabytes } from '../util/disk-room.js';
import { UserError } from '../util/errors.js';

const float32Bytes = 4;

interface Job {
  classifier: Classifier;
  config: Config;
  dataset: Dataset;
  communicator: Communicator;
  backend: Backend;
}

/**
 * Refuses a batch that memory plainly cannot hold, before the system ends a worker for it. A training pass keeps its
 * images, and something of the size of every output of a convolution or dense layer, until the backward pass has read
 * them: it needs more than that, so a batch that passes here may still not fit. A GPU's memory is not checked.
 *
 * @throws UserError `CONFIG_INVALID` with the numbers and what to change
 */
export function checkMemory({ classifier, config, dataset, communicator, backend }: Job): void {
  if (backend.gpu) return;
  const { worldSize, withinHost } = communicator;
  const batch = Math.min(config.batchSize, dataset.labels.train.length);
  const own = Math.ceil(batch / worldSize);
  const needed = own * bytesOfImage(classifier.forward.model);
  const workersHere = withinHost ? worldSize : 1;
  const there = machineBytes() / workersHere;
  const { memoryBytes = Infinity } = backendOf(backend.name);
  const most = Math.min(memoryBytes, there);
  if (needed <= most) return;
  const limit =
    memoryBytes < there ? `that the ${backend.name} backend can have` : 'that this machine has for it';
  const [height, width, channels] = dataset.shape;
  throw new UserError(
    'CONFIG_INVALID',
    `a training step of ${own} images of ${width}x${height}x${channels} on a worker needs at least ` +
      `${gigabytes(needed)} with ${config.model.name}, more than the ${gigabytes(most)} ${limit}: ` +
      `lower batchSize (${config.batchSize}; accumulate makes up for it), the images' size, or the model's channels`,
  );
}

/** Bytes of one image: the image, and the outputs of layers that compute new values. */
export function bytesOfImage(model: tf.LayersModel): number {
  const kept = new Set(['InputLayer', 'Conv2D', 'DepthwiseConv2D', 'SeparableConv2D', 'Dense']);
  const numbers = model.layers
    .filter((layer) => kept.has(layer.getClassName()))
    .map((layer) =>
      (layer.outputShape as (number | null)[]).reduce<number>((size, side) => size * (side ?? 1), 1),
    );
  return float32Bytes * numbers.reduce((sum, count) => sum + count, 0);
}

/** Bytes of memory of this machine, or of the container that this process is in. */
function machineBytes(): number {
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}
