import * as tf from '@tensorflow/tfjs';
import type { Communicator } from '../collective/communicator.js';
import type { Config } from '../config/schema.js';
import type { Batch } from '../data/dataset.js';
import { PodDistError } from '../errors.js';
import type { Classifier } from './classifier.js';
import { createObjective, type LossValues, type Objective } from './objectives/index.js';
import { Sgd } from './sgd.js';

export interface StepInput {
  /** This rank's slice of the global batch; may be empty. */
  batch: Batch;
  /** Images of every rank, by rank. */
  counts: readonly number[];
  delta: number;
  /** Learning rate. */
  rate: number;
  /** Told, while the step runs, which part of it has ended. */
  onPhase?(ended: StepPhase): void;
}

/** The parts of a step, in order: to the loss, to the gradients, over the ranks, into the model. */
export type StepPhase = 'forward' | 'backward' | 'reduce' | 'update';

/**
 * One optimisation step over all ranks.
 *
 * Forward pass of this rank's slice (batch norm reduced inside), gradient of the global loss (what it
 * needs of all ranks reduced inside), sum of the parameter gradients over the ranks, equal update on every rank. Because every
 * reduction covers the whole batch, N ranks make the step that one rank makes, to rounding.
 */
export class TrainingStep {
  private readonly optimizer: Sgd;
  private readonly objective: Objective;
  private readonly gradients: Float32Array;

  constructor(
    private readonly classifier: Classifier,
    private readonly communicator: Communicator,
    config: Config,
  ) {
    const { centroids, classWeights, parameters } = classifier;
    this.optimizer = new Sgd(parameters.length, config.optimizer);
    this.objective = createObjective(config.loss, { communicator, centroids, classWeights });
    this.gradients = communicator.allocate(parameters.length);
  }

  async run({ batch, counts, delta, rate, onPhase }: StepInput): Promise<LossValues> {
    const values = this.backward(batch, counts, delta, onPhase);
    onPhase?.('backward');
    if (!Number.isFinite(values.loss)) {
      throw new PodDistError(
        'LOSS_NOT_FINITE',
        `the loss is ${values.loss}: lower learningRate.rate, or look for broken images`,
      );
    }
    await this.communicator.allReduce(this.gradients, { tag: 'gradients' });
    onPhase?.('reduce');
    this.optimizer.update(this.classifier.weights, this.gradients, rate);
    this.classifier.loadWeights();
    onPhase?.('update');
    return values;
  }

  dispose(): void {
    this.objective.dispose();
  }

  private backward(
    batch: Batch,
    counts: readonly number[],
    delta: number,
    onPhase: StepInput['onPhase'],
  ): LossValues {
    const { classifier, objective } = this;
    const global = counts.reduce((sum, count) => sum + count, 0);
    let values: LossValues | undefined;
    classifier.batchNorm.begin(batch.count, global);
    tf.tidy(() => {
      const images =
        batch.count > 0
          ? tf.tensor4d(batch.images, classifier.imageShape(batch))
          : tf.zeros<tf.Rank.R4>([1, ...classifier.shape]);
      const loss = () => {
        const features = classifier.forward.run(images, classifier.batchNorm.overrides);
        const shard = { labels: batch.labels, counts };
        const scalar = objective.apply(features, shard, delta, (result) => (values = result));
        onPhase?.('forward');
        return scalar;
      };
      const { grads } = tf.variableGrads(loss, classifier.parameters.variables);
      classifier.parameters.readGradients(grads, this.gradients);
    });
    return values as unknown as LossValues;
  }

  /** Optimiser state for a checkpoint. */
  get velocity(): Float32Array {
    return this.optimizer.velocity;
  }
}
