import * as tf from '../tf/index.js';
import { unitRows } from '../losses/index.js';
import type { Classifier } from '../classifier/classifier.js';

/** The last layer: from features [b, d] to one score a class. */
export interface Head {
  /** Cosines between features and `weight`'s rows, or softmax probabilities of features W^T + bias. */
  scores: 'cosines' | 'probabilities';
  /** Row-major [classes, dim]; for cosines unit rows: the centroids, or the directions of trained class weights. */
  weight: Float32Array;
  /** Bias [classes], for probabilities. */
  bias?: Float32Array;
  classes: number;
  dim: number;
}

/** The head of a trained classifier, all its rows at once. */
export function headOf({ classes, dim, centroids, classWeights }: Classifier): Head {
  if (!classWeights) return { scores: 'cosines', weight: centroids.block(0, classes), classes, dim };
  const { kernel, bias } = classWeights;
  if (bias) {
    const weight = kernel.dataSync<'float32'>().slice();
    return { scores: 'probabilities', weight, bias: bias.dataSync<'float32'>().slice(), classes, dim };
  }
  const weight = tf.tidy(() => unitRows(kernel).unit.dataSync<'float32'>().slice());
  return { scores: 'cosines', weight, classes, dim };
}
