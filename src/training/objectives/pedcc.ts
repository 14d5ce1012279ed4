import * as tf from '../../tf/index.js';
import type { Communicator } from '../../collective/communicator.js';
import type { LossConfig } from '../../config/schema.js';
import { classification, dotRegression, throughNorm, unitRows } from '../../loss/index.js';
import { join } from '../../models/parts.js';
import type { CentroidSource } from '../../pedcc/source.js';
import { withKnownGradients } from './known-gradients.js';
import { overShards } from './over-shards.js';
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
    return withKnownGradients([features], () => {
      const shards = overShards(shard, [features], ({ tensors: [features], labels }) => {
        const kernel = this.centroids;
        const classOf = tf.tensor1d(labels, 'int32');
        const margins = { kind: 'cosine', scale, margin } as const;
        const rows = unitRows(features);
        const residuals = tf.sub(rows.unit, tf.gather(kernel, classOf));
        return {
          terms: classification({ features, kernel, labels: classOf, margin: margins }),
          squares: tf.sum(tf.square(residuals)).dataSync()[0],
          rows,
          residuals,
        };
      });
      const [entropySum, squareSum] = summed(
        communicator,
        shards.map((shard) => shard?.terms.sum.dataSync()[0]),
        shards.map((shard) => shard?.squares),
      );
      const crossEntropy = entropySum / batch;
      const error = squareSum / (batch * dim);
      const meanSquaredError = error ** power;
      const loss = crossEntropy + meanSquaredError;
      onValues({ loss, parts: { crossEntropy, meanSquaredError }, normSums: [] });
      const slope = error > 0 ? (power * error ** (power - 1) * 2) / (batch * dim) : 0;
      const gradients = shards.map((shard) => {
        if (!shard) return undefined;
        const pull = throughNorm(tf.mul(shard.residuals, slope), shard.rows);
        return tf.add<tf.Tensor2D>(tf.div(shard.terms.gradients().features, batch), pull);
      });
      return { loss, gradients: [join(gradients) ?? tf.zerosLike(features)] };
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
    return withKnownGradients([features], () => {
      const shards = overShards(shard, [features], ({ tensors: [features], labels }) =>
        dotRegression(features, tf.tensor2d(centroids.rows(labels), [labels.length, dim])),
      );
      const [sum] = summed(
        communicator,
        shards.map((terms) => terms?.sum.dataSync()[0]),
      );
      const loss = sum / batch;
      onValues({ loss, parts: {}, normSums: [] });
      const gradients = shards.map((terms) => terms && tf.div<tf.Tensor2D>(terms.gradient(), batch));
      return { loss, gradients: [join(gradients) ?? tf.zerosLike(features)] };
    });
  }

  dispose(): void {}
}
