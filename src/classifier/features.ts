import * as tf from '../tf/index.js';
import { unitRows } from '../losses/index.js';
import type { Classifier } from './classifier.js';

const widthAxis = 2;

/**
 * Features [images, d] as evaluation and prediction see them, of images row-major [images, height, width, channels].
 *
 * With `mirror` they join those of an image and of its mirror image, left to right: two views of one thing, whose errors
 * are not the same, for twice the time. Directions are averaged, since cosines are what is compared, so that the view
 * with the larger norm weighs no more; the result has the mean of both norms times the length of the averaged direction.
 * The caller holds the `tidy`.
 */
export function featuresOf(
  { forward, shape }: Pick<Classifier, 'forward' | 'shape'>,
  images: Float32Array,
  mirror: boolean,
): tf.Tensor2D {
  const [height, width, channels] = shape;
  const count = images.length / (height * width * channels);
  const batch = tf.tensor4d(images, [count, height, width, channels]);
  const features = forward.run(batch);
  if (!mirror) return features;
  const views = [features, forward.run(tf.reverse4d(batch, widthAxis))];
  const direction = tf.mul(tf.addN(views.map((view) => unitRows(view).unit)), 0.5);
  const norm = tf.mul(tf.addN(views.map((view) => tf.norm(view, 2, 1, true))), 0.5);
  return tf.mul(direction, norm);
}
