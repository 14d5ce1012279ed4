import { tf } from '../tf/deferred.js';
import type { Tensor, Tensor2D } from '../tf/index.js';
import { z } from 'zod';
import { onHost } from '../backend/host-values.js';
import { join } from '../models/parts.js';
import { cosineMargin } from './am-softmax.js';
import {
  batchOf,
  defineLoss,
  summed,
  type Computed,
  type Loss,
  type LossContext,
  type LossValues,
  type Shard,
} from './loss.js';
import { marginSoftmaxTerms, scaleSchema } from './margin-softmax.js';
import { labelTensor } from './inputs.js';
import { computeMixed } from './mixed.js';
import { overShards, placed } from './over-shards.js';
import { throughNorm, unitRows } from './rows.js';
import { matrixOf } from './targets.js';

const schema = z.strictObject({
  name: z.literal('pedcc-loss'),
  scale: scaleSchema.default(15),
  margin: z.number().min(0).default(0.5).describe('m: taken from the cosine of the own class'),
  power: z.number().positive().default(1).describe('n: the squared error is raised to it'),
  reduction: z
    .enum(['sum', 'image', 'element'])
    .default('sum')
    .describe(
      'the squared error: summed over images and dimensions; over dimensions, averaged over images; or averaged over both',
    ),
  weight: z.number().min(0).default(1).describe('of the squared error'),
});

export const pedccLoss = defineLoss({
  name: 'pedcc-loss',
  schema,
  graphs: true,
  mixed: true,
  create: (config, context) => new PedccLoss(config, context),
});

/**
 * PEDCC-Loss (arXiv 1904.06008): AM-Softmax with the fixed centroids as class weights, plus `weight` times the squared error
 * E between zhat and W_y to the power n.
 *
 * Texts differ on E, by D, what the sum of squares of all images of all ranks is divided by:
 *
 *     sum      D = 1     equation 5 of the paper, read as it stands, a sum over dimensions that nothing averages
 *     image    D = B     the same sum for each image, averaged over the batch
 *     element  D = B d   the mean squared error of PyTorch's MSELoss, as in the published code: with d = 256 it has 1/1000
 *                        of the other term's gradient
 *
 * (The author has said, in 2023, that the sum is over d, averaged over images or not.) AM-Softmax is a mean over images.
 * The power is of the global E, so E is reduced before the gradient: n E^(n-1) times the local rows' 2 (zhat - W_y) / D,
 * taken through the norm.
 */
class PedccLoss implements Loss {
  private readonly centroids: Tensor2D;

  constructor(
    private readonly config: z.output<typeof schema>,
    private readonly context: LossContext,
  ) {
    this.centroids = matrixOf(context.targets);
  }

  compute(features: Tensor2D, classWeights: readonly Tensor[], shard: Shard): Computed {
    const { mixed } = shard;
    if (mixed) return computeMixed(this, features, classWeights, { ...shard, mixed });
    const { scale, margin, power, reduction, weight } = this.config;
    const { communicator, targets } = this.context;
    const batch = batchOf(shard);
    const divisor = { sum: 1, image: batch, element: batch * targets.dim }[reduction];
    const margins = { scale, margin: cosineMargin(margin) };
    const shards = overShards(shard, [features], ({ tensors: [features], labels }) => {
      const rows = unitRows(features);
      const residuals = tf.sub(rows.unit, tf.gather(this.centroids, labelTensor(labels)));
      return {
        terms: marginSoftmaxTerms(features, labels, this.centroids, margins),
        squares: tf.sum(tf.square(residuals)),
        rows,
        residuals,
      };
    });
    const entropies = placed(shards.map((own) => own?.terms.sum));
    const squares = placed(shards.map((own) => own?.squares));
    const values: LossValues = { loss: 0, parts: {} };
    const [slope] = onHost([...entropies.tensors, ...squares.tensors], (read) => {
      const [entropySum, squareSum] = summed(
        communicator,
        entropies.of(read),
        squares.of(read.slice(entropies.tensors.length)),
      );
      const crossEntropy = entropySum / batch;
      const error = squareSum / divisor;
      const squaredError = weight * error ** power;
      values.loss = crossEntropy + squaredError;
      values.parts = { crossEntropy, squaredError };
      const slope = error > 0 ? (weight * power * error ** (power - 1) * 2) / divisor : 0;
      return [{ values: Float32Array.of(slope), shape: [] }];
    });
    const gradients = shards.map((own) => {
      if (!own) return undefined;
      const pull = throughNorm(tf.mul(own.residuals, slope), own.rows);
      const [ofEntropy] = own.terms.gradients();
      return tf.add<Tensor2D>(tf.div(ofEntropy, batch), pull);
    });
    const outcome = { tensors: [], of: () => ({ ...values }) };
    return { values: outcome, gradients: [join(gradients) ?? tf.zerosLike(features)] };
  }

  dispose(): void {
    this.centroids.dispose();
  }
}
