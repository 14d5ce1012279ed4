import * as tf from '@tensorflow/tfjs';
import type { Batch } from '../data/dataset.js';
import type { ClassVectors } from './class-vectors.js';
import { emptyTotals, type EvaluationTotals } from './totals.js';

/**
 * Cosine accuracy: an image belongs to the class whose vector has the largest cosine with its features (or, for plain
 * softmax, to the class of the largest logit).
 *
 * All class vectors are unit vectors, so the largest inner product has the largest cosine; of equal ones the first
 * class counts. Features of norm 0 (or not finite) have no direction and belong to no class. Classes are gone through
 * in blocks, so that no more than [b, classes of a block] products are there at a time.
 */
export class CosineAccuracy {
  readonly totals: EvaluationTotals;

  constructor(private readonly vectors: ClassVectors) {
    this.totals = emptyTotals(vectors.classes);
  }

  /** Counts one batch; `features` is [b, d]. */
  add(features: tf.Tensor2D, labels: Batch['labels']): void {
    const { classes } = this.vectors;
    const assigned = this.assign(features);
    const { norms, cosines } = this.own(features, labels);
    const totals = this.totals;
    labels.forEach((label, row) => {
      const directed = norms[row] > 0 && Number.isFinite(norms[row]);
      const choice = directed ? assigned[row] : classes;
      totals.total++;
      totals.classTotal[label]++;
      if (totals.confusion.length > 0) totals.confusion[label * (classes + 1) + choice]++;
      if (choice === label) {
        totals.correct++;
        totals.classCorrect[label]++;
      }
      if (directed) totals.cosineSum += cosines[row] / norms[row];
    });
  }

  /** The class of the largest score of each row. */
  private assign(features: tf.Tensor2D): Int32Array {
    const rows = features.shape[0];
    const best = new Float32Array(rows).fill(-Infinity);
    const assigned = new Int32Array(rows);
    this.vectors.forEachBlock(({ start, directions, kernel, bias }) => {
      const [values, indices] = tf.tidy(() => {
        const products = tf.matMul(features, kernel ?? directions, false, true);
        const scores = bias ? tf.add(products, bias) : products;
        return [
          tf.max(scores, 1).dataSync<'float32'>().slice(),
          tf.argMax(scores, 1).dataSync<'int32'>().slice(),
        ] as const;
      });
      for (let row = 0; row < rows; row++) {
        if (!(values[row] > best[row])) continue;
        best[row] = values[row];
        assigned[row] = start + indices[row];
      }
    });
    return assigned;
  }

  /** Each row's norm and inner product with its own class. */
  private own(features: tf.Tensor2D, labels: Batch['labels']) {
    return tf.tidy(() => ({
      norms: tf.norm(features, 2, 1).dataSync<'float32'>().slice(),
      cosines: tf
        .sum(tf.mul(features, this.vectors.own(labels)), 1)
        .dataSync<'float32'>()
        .slice(),
    }));
  }
}
