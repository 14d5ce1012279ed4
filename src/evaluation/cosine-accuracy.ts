import * as tf from '@tensorflow/tfjs';
import type { Batch } from '../data/dataset.js';
import { emptyTotals, type EvaluationTotals } from './totals.js';

/**
 * Cosine accuracy: an image belongs to the class whose centroid has the largest cosine with its features.
 *
 * All centroids are unit vectors, so the largest inner product has the largest cosine. Features of norm 0 (or not
 * finite) have no direction and belong to no class.
 */
export class CosineAccuracy {
  readonly totals: EvaluationTotals;

  /** `centroids`: [k, d], unit rows. */
  constructor(private readonly centroids: tf.Tensor2D) {
    this.totals = emptyTotals(centroids.shape[0]);
  }

  /** Counts one batch; `features` is [b, d]. */
  add(features: tf.Tensor2D, labels: Batch['labels']): void {
    const classes = this.centroids.shape[0];
    const products = tf.tidy(() =>
      tf.concat([tf.matMul(features, this.centroids, false, true), tf.norm(features, 2, 1, true)], 1),
    );
    const values = products.dataSync<'float32'>();
    products.dispose();
    const totals = this.totals;
    labels.forEach((label, row) => {
      const offset = row * (classes + 1);
      const norm = values[offset + classes];
      const directed = norm > 0 && Number.isFinite(norm);
      const assigned = directed ? largest(values, offset, classes) : classes;
      totals.total++;
      totals.classTotal[label]++;
      totals.confusion[label * (classes + 1) + assigned]++;
      if (assigned === label) {
        totals.correct++;
        totals.classCorrect[label]++;
      }
      if (directed) totals.cosineSum += values[offset + label] / norm;
    });
  }
}

function largest(values: Float32Array, offset: number, count: number): number {
  let best = 0;
  for (let index = 1; index < count; index++) {
    if (values[offset + index] > values[offset + best]) best = index;
  }
  return best;
}
