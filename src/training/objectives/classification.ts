import * as tf from '@tensorflow/tfjs';
import type { Communicator } from '../../collective/communicator.js';
import { classification, type Margin } from '../../loss/index.js';
import type { ClassWeights } from '../class-weights.js';
import { withKnownGradients } from './known-gradients.js';
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
    const present = shard.labels.length > 0;
    return withKnownGradients(bias ? [features, kernel, bias] : [features, kernel], () => {
      const labels = tf.tensor1d(present ? shard.labels : [0], 'int32');
      const terms = classification({ features, kernel, bias, labels, margin: this.margin });
      const [sum] = summed(this.communicator, present ? terms.sum.dataSync()[0] : 0);
      const loss = sum / batch;
      onValues({ loss, parts: {}, normSum: 0 });
      const { features: dz, kernel: dw, bias: db } = terms.gradients();
      const gradients = bias ? [dz, dw, db] : [dz, dw];
      return {
        loss,
        gradients: gradients.map((gradient) => (present ? tf.div(gradient, batch) : tf.zerosLike(gradient))),
      };
    });
  }

  dispose(): void {}
}
