import * as tf from '../../tf/index.js';
import type { Communicator } from '../../collective/communicator.js';
import { classification, type ClassificationGradients, type Margin } from '../../loss/index.js';
import { join } from '../../models/parts.js';
import type { ClassWeights } from '../class-weights.js';
import { withKnownGradients } from './known-gradients.js';
import { overShards, total } from './over-shards.js';
import { batchOf, summed, type LossValues, type Objective, type Shard } from './objective.js';

/**
 * Mean cross-entropy over the images of all ranks, on class weights that are trained: softmax, AM-Softmax, ArcFace.
 *
 * Each rank adds the sum over its own rows, divided by the global batch; one number is reduced, for the record.
 */
export class ClassificationObjective implements Objective {
  constructor(
    private readonly communicator: Communicator,
    private readonly weights: ClassWeights,
    private readonly margin: Margin,
  ) {}

  apply(
    features: tf.Tensor2D,
    shard: Shard,
    _delta: number,
    onValues: (values: LossValues) => void,
  ): tf.Scalar {
    const { kernel, bias } = this.weights;
    const batch = batchOf(shard);
    return withKnownGradients(bias ? [features, kernel, bias] : [features, kernel], () => {
      const shards = overShards(shard, [features], ({ tensors: [features], labels }) =>
        classification({ features, kernel, bias, labels: tf.tensor1d(labels, 'int32'), margin: this.margin }),
      );
      const [sum] = summed(
        this.communicator,
        shards.map((terms) => terms?.sum.dataSync()[0]),
      );
      const loss = sum / batch;
      onValues({ loss, parts: {}, normSums: [] });
      const all = shards.map((terms) => terms && meanOf(terms.gradients(), batch));
      const dz = join(all.map((gradients) => gradients?.features)) ?? tf.zerosLike(features);
      const dw = total(all.map((gradients) => gradients?.kernel)) ?? tf.zerosLike(kernel);
      const db = bias && (total(all.map((gradients) => gradients?.bias)) ?? tf.zerosLike(bias));
      return { loss, gradients: db ? [dz, dw, db] : [dz, dw] };
    });
  }

  dispose(): void {}
}

function meanOf({ features, kernel, bias }: ClassificationGradients, batch: number): ClassificationGradients {
  return { features: tf.div(features, batch), kernel: tf.div(kernel, batch), bias: tf.div(bias, batch) };
}
