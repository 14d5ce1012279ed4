import * as tf from '@tensorflow/tfjs';
import type { Communicator } from '../collective/communicator.js';
import type { Config } from '../config/schema.js';
import type { Batch } from '../data/dataset.js';
import { PodDistError } from '../errors.js';
import type { Tracer } from '../trace/tracer.js';
import type { ClassWeights } from './class-weights.js';
import type { Classifier } from './classifier.js';
import { GradientHooks } from './gradient-hooks.js';
import { createObjective, type LossValues, type Objective } from './objectives/index.js';
import { ShardedOptimiser } from './sharded-optimiser.js';

export interface StepInput {
  /** This rank's slice of the global batch; may be empty. */
  batch: Batch;
  /** Images of every rank, by rank. */
  counts: readonly number[];
  delta: number;
  /** Learning rate. */
  rate: number;
  /** Which of the step's micro-batches this is, from 0, and of how many; default: the only one. */
  micro?: { index: number; count: number };
  /** Told, while the step runs, which part of it has ended. */
  onPhase?(ended: StepPhase): void;
}

/** The parts of a step, in order: to the loss, to the gradients, over the ranks and updated, into the model. */
export type StepPhase = 'forward' | 'backward' | 'reduce' | 'update';

/**
 * One optimisation step over all ranks.
 *
 * Forward pass of this rank's slice (batch norm reduced inside), gradient of the global loss (what it needs of all ranks
 * reduced inside), and the sharded update: gradients summed over the ranks, weights made equal. Because every reduction
 * covers the whole batch, N ranks make the step that one rank makes, to rounding.
 *
 * With several ranks, hooks send each bucket of gradients as the backward pass completes it: the communication thread sums
 * it up while this one goes on.
 *
 * A step of several micro-batches adds up their gradients on each rank, and sends them with the last one: its loss is
 * the mean of the micro-batches' losses, each over its own global batch.
 */
export class TrainingStep {
  private readonly objective: Objective;
  /** Only where there is something to overlap with: other ranks. */
  private readonly hooks: GradientHooks | undefined;

  static async create(
    classifier: Classifier,
    communicator: Communicator,
    config: Config,
    tracer?: Tracer,
  ): Promise<TrainingStep> {
    const { parameters, weights } = classifier;
    const optimiser = await ShardedOptimiser.create({ parameters, weights, communicator, config, tracer });
    return new TrainingStep(classifier, communicator, config, optimiser);
  }

  private constructor(
    private readonly classifier: Classifier,
    communicator: Communicator,
    config: Config,
    readonly optimiser: ShardedOptimiser,
  ) {
    const { centroids, parameters, forward } = classifier;
    if (communicator.worldSize > 1) {
      const { gradients, buckets } = optimiser;
      const onBucket = (index: number) => optimiser.reduce(index);
      this.hooks = new GradientHooks({ model: forward.model, parameters, gradients, buckets, onBucket });
    }
    const classWeights = hooked(classifier.classWeights, this.hooks);
    this.objective = createObjective(config.loss, { communicator, centroids, classWeights });
  }

  /** One micro-batch; with the last one the weights are updated. Resolves with the micro-batch's loss. */
  async run(input: StepInput): Promise<LossValues> {
    const { rate, onPhase, micro = { index: 0, count: 1 } } = input;
    const add = micro.index > 0;
    const send = micro.index === micro.count - 1;
    const values = this.hooks
      ? this.hooks.pass({ add, send }, () => this.backward(input, add))
      : this.backward(input, add);
    onPhase?.('backward');
    if (!Number.isFinite(values.loss)) {
      throw new PodDistError(
        'LOSS_NOT_FINITE',
        `the loss is ${values.loss}: lower learningRate.rate, or look for broken images`,
      );
    }
    if (!send) return values;
    if (!this.hooks)
      for (let index = this.optimiser.buckets.length - 1; index >= 0; index--) this.optimiser.reduce(index);
    await this.optimiser.update(rate, micro.count);
    onPhase?.('reduce');
    this.classifier.loadWeights();
    onPhase?.('update');
    return values;
  }

  dispose(): void {
    this.objective.dispose();
  }

  private backward({ batch, counts, delta, onPhase }: StepInput, add: boolean): LossValues {
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
      if (!this.hooks) classifier.parameters.readGradients(grads, this.optimiser.gradients, add);
    });
    return values as unknown as LossValues;
  }
}

/** Class weights that are read through the hooks, as the model's are. */
function hooked(
  weights: ClassWeights | undefined,
  hooks: GradientHooks | undefined,
): ClassWeights | undefined {
  if (!weights || !hooks) return weights;
  return {
    get kernel() {
      return hooks.read(weights.kernel);
    },
    get bias() {
      return weights.bias && hooks.read(weights.bias);
    },
  };
}
