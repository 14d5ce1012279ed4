import * as tf from '@tensorflow/tfjs';
import type { Communicator } from '../../collective/communicator.js';
import type { LossConfig } from '../../config/schema.js';
import { classification, dotRegression, throughNorm, unitRows } from '../../loss/index.js';
import type { CentroidSource } from '../../pedcc/source.js';
import { withKnownGradients } from './known-gradients.js';
import { batchOf, summed, type LossValues, type Objective, type Shard } from './objective.js';

export interface PedccOptions {
  communicator: Communicator;
  centroids: CentroidSource;
}

type PedccLossConfig = Extract<LossConfig, { name: 'pedcc-loss' }>;

/**
 * PEDCC-Loss (arXiv 1904.06008): AM-Softmax with the fixed centroids as class weights, plus the mean squared error
 * between zhat and W_y, over the B d numbers of the batch, to the power n.
 *
 * Both are means over the images of all ranks. The power is of the global mean E, so E is reduced before the gradient:
 * n E^(n-1) times the local rows' 2 (zhat - W_y) / (B d), taken through the norm.
 */
export class PedccObjective implements Objective {
  private readonly centroids: tf.Tensor2D;

  constructor(
    private readonly options: PedccOptions,
    private readonly config: PedccLossConfig,
  ) {
    const { classes, dim } = options.centroids;
    this.centroids = tf.keep(tf.tensor2d(options.centroids.block(0, classes), [classes, dim]));
  }

  apply(
    features: tf.Tensor2D,
    shard: Shard,
    _delta: number,
    onValues: (values: LossValues) => void,
  ): tf.Scalar {
    const { communicator, centroids } = this.options;
    const { dim } = centroids;
    const { scale, margin, power } = this.config;
    const batch = batchOf(shard);
    const present = shard.labels.length > 0;
    return withKnownGradients([features], () => {
      const labels = tf.tensor1d(present ? shard.labels : [0], 'int32');
      const kernel = this.centroids;
      const terms = classification({ features, kernel, labels, margin: { kind: 'cosine', scale, margin } });
      const rows = unitRows(features);
      const residuals = tf.sub(rows.unit, tf.gather(kernel, labels));
      const squares = tf.sum(tf.square(residuals));
      const [entropySum, squareSum] = present
        ? summed(communicator, terms.sum.dataSync()[0], squares.dataSync()[0])
        : summed(communicator, 0, 0);
      const crossEntropy = entropySum / batch;
      const error = squareSum / (batch * dim);
      const meanSquaredError = error ** power;
      const loss = crossEntropy + meanSquaredError;
      onValues({ loss, parts: { crossEntropy, meanSquaredError }, normSum: 0 });
      const slope = error > 0 ? (power * error ** (power - 1) * 2) / (batch * dim) : 0;
      const pull = throughNorm(tf.mul(residuals, slope), rows);
      const gradient = tf.add(tf.div(terms.gradients().features, batch), pull);
      return { loss, gradients: [present ? gradient : tf.zerosLike(features)] };
    });
  }

  dispose(): void {
    this.centroids.dispose();
  }
}

/** Dot-regression: the mean over the images of all ranks of (zhat . W_y - 1)^2 / 2 (arXiv 2203.09081). */
export class DotRegressionObjective implements Objective {
  constructor(private readonly options: PedccOptions) {}

  apply(
    features: tf.Tensor2D,
    shard: Shard,
    _delta: number,
    onValues: (values: LossValues) => void,
  ): tf.Scalar {
    const { communicator, centroids } = this.options;
    const { dim } = centroids;
    const batch = batchOf(shard);
    const present = shard.labels.length > 0;
    return withKnownGradients([features], () => {
      const rows = present ? centroids.rows(shard.labels) : new Float32Array(dim);
      const terms = dotRegression(features, tf.tensor2d(rows, [rows.length / dim, dim]));
      const [sum] = summed(communicator, present ? terms.sum.dataSync()[0] : 0);
      const loss = sum / batch;
      onValues({ loss, parts: {}, normSum: 0 });
      const gradient = present ? tf.div(terms.gradient(), batch) : tf.zerosLike(features);
      return { loss, gradients: [gradient] };
    });
  }

  dispose(): void {}
}
