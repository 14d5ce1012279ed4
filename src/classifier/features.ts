import * as tf from '../tf/index.js';
import { fromHost } from '../backend/host-values.js';
import { inPrecision, type Precision } from '../backend/precision.js';
import type { Batch } from '../data/dataset.js';
import { unitRows } from '../losses/index.js';
import type { ForwardPass } from '../models/forward.js';

const widthAxis = 2;

interface Network {
  forward: ForwardPass;
  /** [height, width, channels] of an image. */
  shape: readonly [number, number, number];
  precision: Precision;
}

/**
 * Features [images, d] as evaluation and prediction see them.
 *
 * With `mirror` they join those of an image and of its mirror image, left to right: two views of one thing, whose errors
 * are not the same, for twice the time. Directions are averaged, since cosines are what is compared, so that the view
 * with the larger norm weighs no more; the result has the mean of both norms times the length of the averaged direction.
 * The caller holds the `tidy`.
 */
export function featuresOf(
  { forward, shape, precision }: Network,
  batch: Pick<Batch, 'images' | 'count'>,
  mirror: boolean,
): tf.Tensor2D {
  const images = fromHost<tf.Tensor4D>(() => ({ values: batch.images, shape: [batch.count, ...shape] }));
  const run = (images: tf.Tensor4D) => inPrecision(precision, () => forward.run(images));
  const features = run(images);
  if (!mirror) return features;
  const views = [features, run(tf.reverse4d(images, widthAxis))];
  const direction = tf.mul(tf.addN(views.map((view) => unitRows(view).unit)), 0.5);
  const norm = tf.mul(tf.addN(views.map((view) => tf.norm(view, 2, 1, true))), 0.5);
  return tf.mul(direction, norm);
}
