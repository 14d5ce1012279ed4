import { setImmediate as turn } from 'node:timers/promises';
import { disposeTape } from '../tf/dispose-tape.js';
import * as tf from '../tf/index.js';
import { readOutcome, type Outcome } from '../backend/host-values.js';
import { inPrecision } from '../backend/precision.js';
import { explainFailure, running } from '../backend/running.js';
import type { Communicator } from '../collective/communicator.js';
import type { Config } from '../config/schema.js';
import type { Batch } from '../data/dataset.js';
import { PodDistError } from '../util/errors.js';
import {
  applyLoss,
  classVariables,
  lossOf,
  sourceTargets,
  type Loss,
  type LossKind,
  type LossValues,
} from '../losses/index.js';
import type { Tracer } from '../trace/tracer.js';
import type { Classifier } from '../classifier/classifier.js';
import type { Drawing } from '../models/dropout.js';
import { GradientHooks } from '../parallel/gradient-hooks.js';
import { cutOf, rowsOfVirtualWorkers, type Cut } from '../parallel/virtual-workers.js';
import { decideOverlap } from '../parallel/overlap.js';
import { ShardedOptimiser } from '../parallel/sharded-optimiser.js';
import type { StepPhase } from '../trace/step-spans.js';
import type { Range } from '../parallel/buckets.js';
import { CapturedSteps } from './captured-steps.js';
import { operationByOperation } from '../classifier/captured-passes.js';
import { WeightLoader } from '../parallel/weight-loader.js';
import { present } from '../util/present.js';

export interface StepInput {
  /** This rank's slice of the global batch; may be empty. */
  batch: Batch;
  /** Images of every rank, by rank. */
  counts: readonly number[];
  /** Learning rate. */
  rate: number;
  /** What dropout draws by: the images of `batch`, and the epoch; default: their places in the batch, and epoch 0. */
  drawing?: Drawing;
  /** Index of this micro-batch in the step, from 0, and their number; default: the only one. */
  micro?: { index: number; count: number };
  /** Called at the end of each phase. */
  onPhase?(ended: StepPhase): void;
}

interface StepOptions {
  gpu?: boolean;
  tracer?: Tracer;
  /** Training images of each class. */
  images?: readonly number[];
  /** Hears why passes do not run as graphs where they could. */
  onNotice?(line: string): void;
}

interface Made extends Pick<StepOptions, 'onNotice' | 'images'> {
  optimiser: ShardedOptimiser;
  loader: WeightLoader;
  overlap: boolean;
}

/**
 * One optimisation step over all ranks.
 *
 * Forward pass of this rank's slice (batch norm reduced inside), gradient of the global loss (what it needs of all ranks
 * reduced inside), and the sharded update: gradients summed over the ranks, weights made equal. Because every reduction
 * covers the whole batch, N ranks make the step that one rank makes, to rounding.
 *
 * On a backend that can, passes run as graphs once they have been recorded (`captured-steps.ts`). Then, too, the variables
 * wait for `complete`.
 *
 * With overlap, hooks send each bucket of gradients as the backward pass completes it: the communication thread sums it up,
 * updates its weights and gathers them while this one goes on. The step ends without waiting for that: the next forward
 * pass waits for a bucket when it reads the first of its variables, and whoever else wants the weights, or the variables,
 * calls `complete` first. Without, all that comes after the backward pass, and ends the step.
 *
 * A step of several micro-batches adds up their gradients on each rank, and sends them with the last one; where bits are
 * to be equal for any number of ranks, each sends its own. The step's loss is the mean of the micro-batches' losses, each
 * over its own global batch.
 */
export class TrainingStep {
  readonly optimiser: ShardedOptimiser;
  private readonly loader: WeightLoader;
  readonly loss: Loss;
  /** Passes as graphs, where the backend has such. */
  private readonly captured: CapturedSteps | undefined;
  /** Hooks of the gradients; undefined without overlap. */
  private readonly hooks: GradientHooks | undefined;
  private readonly cut: Cut;
  /** Whether the last pass did: it reads the flat weights, not the variables. */
  private ranAsGraph = false;
  /** What the last pass that was made of operations came to. */
  private outcome: Outcome<LossValues> | undefined;
  /** Micro-batches are summed over the ranks one by one, not together. */
  private readonly separately: boolean;

  static async create(
    classifier: Classifier,
    communicator: Communicator,
    config: Config,
    { gpu = false, tracer, images, onNotice }: StepOptions = {},
  ): Promise<TrainingStep> {
    const { parameters, weights } = classifier;
    const overlap = await decideOverlap(communicator, { wanted: config.distributed.overlap, gpu });
    const about = { parameters, weights, communicator, config, overlap, tracer };
    const optimiser = new ShardedOptimiser(about);
    const loader = new WeightLoader({ parameters, weights, optimiser, tracer });
    return new TrainingStep(classifier, communicator, config, {
      optimiser,
      loader,
      overlap,
      images,
      onNotice,
    });
  }

  private constructor(
    private readonly classifier: Classifier,
    communicator: Communicator,
    config: Config,
    { optimiser, loader, overlap, images, onNotice }: Made,
  ) {
    const { centroids, parameters, forward } = classifier;
    this.optimiser = optimiser;
    this.loader = loader;
    this.cut = cutOf(config, communicator);
    this.separately = config.distributed.bitwise !== undefined;
    if (overlap) {
      const { gradients, buckets } = optimiser;
      const onRead = (parameter: number) => loader.load(parameter);
      const onBucket = (index: number) => optimiser.reduce(index);
      const { model } = forward;
      this.hooks = new GradientHooks({ model, parameters, gradients, buckets, onRead, onBucket });
    }
    const kind = lossOf(config.loss);
    if (config.capture === 'auto')
      this.captured = capturedSteps(classifier, { optimiser, loader, kind, onNotice });
    this.loss = kind.create(config.loss, { communicator, targets: sourceTargets(centroids), images });
  }

  /** One micro-batch; with the last one the weights are updated. Resolves with the micro-batch's loss. */
  async run(input: StepInput): Promise<LossValues> {
    try {
      return await this.step(input);
    } catch (error) {
      disposeTape();
      tf.dispose([...(this.outcome?.tensors ?? [])]);
      throw this.optimiser.explain(explainFailure(error));
    }
  }

  /** Resolves once all weights, and the model's variables, are those of the last update. */
  async complete(): Promise<void> {
    try {
      await this.optimiser.complete();
    } catch (error) {
      throw this.optimiser.explain(error);
    }
    this.loader.loadAll();
  }

  dispose(): void {
    this.captured?.dispose();
    this.loss.dispose?.();
  }

  private async step(input: StepInput): Promise<LossValues> {
    const { hooks, optimiser, loader } = this;
    const { rate, onPhase, micro = { index: 0, count: 1 } } = input;
    const add = micro.index > 0 && !this.separately;
    const send = micro.index === micro.count - 1;
    optimiser.begin({ rate, count: micro.count });
    hooks?.begin({ add, send });
    const values = this.backward(input, add);
    if (!send) {
      if (this.separately) await optimiser.keep();
      return values;
    }
    if (!hooks) for (let index = optimiser.buckets.length - 1; index >= 0; index--) optimiser.reduce(index);
    await optimiser.update();
    const share = optimiser.state.averageShare();
    if (share !== undefined) this.classifier.batchNorm.average(share);
    loader.outdate();
    if (!hooks && !this.ranAsGraph) loader.loadAll();
    await turn();
    onPhase?.('update');
    return values;
  }

  private backward(input: StepInput, add: boolean): LossValues {
    const { batch, counts, onPhase } = input;
    const { classifier, hooks, captured } = this;
    const global = counts.reduce((sum, count) => sum + count, 0);
    const rows = rowsOfVirtualWorkers(counts, this.cut);
    classifier.batchNorm.begin(batch.count, global, rows);
    classifier.dropout.begin(input.drawing ?? { epoch: 0, images: Int32Array.from(batch.labels.keys()) });
    const { parameters } = classifier;
    const seen: LossValues[] = [];
    this.ranAsGraph = false;
    tf.tidy(() => {
      const make = (batch: Batch) => {
        const { outcome, grads } = this.pass({ ...input, batch }, rows);
        const gradients = parameters.slots.map(({ name }) => grads[name]);
        return {
          outcome,
          gradients: hooks ? undefined : gradients,
          statistics: classifier.batchNorm.handOut(),
        };
      };
      const result = captured?.run(`${counts.join(' ')}${batch.mixed ? ' mixed' : ''}`, batch, { add, make });
      if (result) {
        seen.push(result.values);
        this.ranAsGraph = result.isGraph;
        onPhase?.(result.isGraph ? 'passes' : 'backward');
        return;
      }
      const { outcome, grads } = this.pass(input, rows);
      seen.push(readOutcome(outcome));
      if (!hooks) parameters.readGradients(grads, this.optimiser.gradients, add);
      onPhase?.('backward');
    });
    return requireFinite(present(seen[0], 'a loss'));
  }

  /** Forward and backward pass of a batch, operation by operation. */
  private pass({ batch, counts, onPhase }: StepInput, rows: readonly Range[]) {
    const { classifier, loader } = this;
    if (!this.hooks) loader.loadAll();
    const images = classifier.imagesOf(batch, rows);
    const loss = () => {
      const features = classifier.features(images);
      const shard = { labels: batch.labels, counts, rows, mixed: batch.mixed };
      const inputs = { features, classWeights: this.readClassWeights() };
      const { loss, values } = applyLoss(this.loss, inputs, shard, { isRoot: true });
      this.outcome = values;
      loader.loadAll();
      onPhase?.('forward');
      return loss;
    };
    const { trained } = classifier.parameters;
    const both = () => inPrecision(classifier.precision, () => tf.variableGrads(loss, trained));
    const { grads } = this.hooks ? this.hooks.pass(both) : both();
    return { outcome: this.outcome as Outcome<LossValues>, grads };
  }

  /** Through the hooks, as the model's weights are. */
  private readClassWeights(): tf.Tensor[] {
    const weights = classVariables(this.classifier.classWeights);
    return this.hooks ? weights.map((weight) => (this.hooks as GradientHooks).read(weight)) : weights;
  }
}

function capturedSteps(
  { parameters, weights, batchNorm }: Classifier,
  { optimiser, loader, kind, onNotice = () => {} }: Omit<Made, 'overlap'> & { kind: LossKind },
): CapturedSteps | undefined {
  const { capture } = running();
  if (!capture) return undefined;
  if (!kind.graphs) {
    const name = [kind.name].flat().join(', ');
    onNotice(
      `${operationByOperation('training steps')}: the loss ${name} does not say that graphs are right for it`,
    );
    return undefined;
  }
  return new CapturedSteps({
    capture,
    weights: [...parameters.within(weights), ...batchNorm.frozenStatistics],
    parameters,
    gradients: optimiser.gradients,
    loadVariables: () => loader.loadAll(),
    waitForWeights: () => loader.waitForAll(),
    onNotice,
  });
}

function requireFinite(values: LossValues): LossValues {
  if (Number.isFinite(values.loss)) return values;
  throw new PodDistError(
    'LOSS_NOT_FINITE',
    `the loss is ${values.loss}: lower learningRate.rate, or look for broken images`,
  );
}
