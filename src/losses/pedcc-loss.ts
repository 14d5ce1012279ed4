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
import { overShards, placed } from './over-shards.js';
import { throughNorm, unitRows } from './rows.js';

const schema = z.strictObject({
  name: z.literal('pedcc-loss'),
  scale: scaleSchema.default(15),
  margin: z.number().min(0).default(0.5).describe('m: taken from the cosine of the own class'),
  power: z.number().positive().default(1).describe('n: the mean squared error is raised to it'),
});

export const pedccLoss = defineLoss({
  name: 'pedcc-loss',
  schema,
  graphs: true,
  create: (config, context) => new PedccLoss(config, context),
});

/**
 * PEDCC-Loss (arXiv 1904.06008): AM-Softmax with the fixed centroids as class weights, plus the mean squared error
 * between zhat and W_y, over the B d numbers of the batch, to the power n.
 *
 * Both are means over the images of all ranks. The power is of the global mean E, so E is reduced before the gradient:
 * n E^(n-1) times the local rows' 2 (zhat - W_y) / (B d), taken through the norm.
 */
class PedccLoss implements Loss {
  private readonly centroids: Tensor2D;

  constructor(
    private readonly config: z.output<typeof schema>,
    private readonly context: LossContext,
  ) {
    const { classes, dim } = context.targets;
    this.centroids = tf.keep(tf.tensor2d(context.targets.block(0, classes), [classes, dim]));
  }

  compute(features: Tensor2D, _classWeights: readonly Tensor[], shard: Shard): Computed {
    const { scale, margin, power } = this.config;
    const { communicator, targets } = this.context;
    const batch = batchOf(shard);
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
      const error = squareSum / (batch * targets.dim);
      const meanSquaredError = error ** power;
      values.loss = crossEntropy + meanSquaredError;
      values.parts = { crossEntropy, meanSquaredError };
      const slope = error > 0 ? (power * error ** (power - 1) * 2) / (batch * targets.dim) : 0;
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
