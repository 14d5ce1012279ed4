import * as tf from '../tf/index.js';
import type { CapturedWeight } from '../backend/capture.js';
import { addThen } from '../backend/operations.js';
import type { Communicator } from '../collective/communicator.js';
import type { Config } from '../config/schema.js';
import type { LayerOverride } from '../models/forward.js';
import type { Range } from '../parallel/buckets.js';
import { present } from '../util/present.js';
import type { WeightsChoice } from '../optim/average.js';
import { normalise, type BatchShare, type Statistic } from './normalise.js';

/** Moving mean and biased-corrected variance of one layer, [channels] each. */
interface MovingStatistics {
  mean: Float32Array;
  variance: Float32Array;
}

interface Pending {
  moving: MovingStatistics;
  moments: readonly Statistic[];
}

/** Statistics of a pass that are still tensors. */
export interface PendingStatistics {
  tensors: readonly tf.Tensor[];
  /** Takes their values, in the order of `tensors`; called once a pass. */
  take(values: readonly Float32Array[]): void;
}

interface BatchNormOptions {
  /** Whether the moving statistics are averaged over the steps, as the weights are. */
  averaged?: boolean;
  /** Whether a layer stays as it is; default: none does. */
  isFrozen?(layer: string): boolean;
}

/**
 * Gives a model's batch-norm layers their training pass, without the model knowing: statistics over the images of
 * all ranks (`synchronised`), or over each rank's own (`local`), and moving statistics for evaluation. Frozen layers
 * compute by their moving statistics, as in evaluation, which stay as they are.
 *
 * Averaged weights go with statistics that are averaged in the same way, by the same shares: those of each step are of the
 * weights of that step. To measure them anew, with the averaged weights, would take a pass over training images before
 * every evaluation.
 */
export class BatchNorm {
  /** Training passes by layer name, for `ForwardPass.run`. */
  readonly overrides = new Map<string, LayerOverride>();
  /** Statistics that `publish` shows to evaluation. */
  choice: WeightsChoice = 'trained';
  private readonly layers: tf.layers.Layer[];
  private readonly isFrozen: (layer: tf.layers.Layer) => boolean;
  private readonly moving = new Map<string, MovingStatistics>();
  /** Averages of the moving statistics; none where they are not averaged. */
  private readonly averages = new Map<string, MovingStatistics>();
  /** What evaluation reads: the moving statistics as they were published. */
  private readonly shown = new Map<string, MovingStatistics>();
  /** Share by which averages are to move towards the moving statistics, once the step's last pass is in these. */
  private unaveraged: number | undefined;
  private share: BatchShare = { local: 0, counted: 0 };
  /** Statistics of the last pass that are not in the moving ones yet. */
  private pending: Pending[] = [];

  constructor(
    model: tf.LayersModel,
    private readonly config: Config['batchNorm'],
    private readonly communicator: Communicator,
    { averaged = false, isFrozen = () => false }: BatchNormOptions = {},
  ) {
    this.isFrozen = ({ name }) => isFrozen(name);
    this.layers = model.layers.filter((layer) => layer.getClassName() === 'BatchNormalization');
    for (const layer of this.layers) {
      const [mean, variance] = layer.nonTrainableWeights.map((weight) =>
        weight.read().dataSync<'float32'>().slice(),
      );
      this.moving.set(layer.name, { mean, variance });
      this.shown.set(layer.name, copyOf({ mean, variance }));
      if (averaged) this.averages.set(layer.name, copyOf({ mean, variance }));
      const pass = isFrozen(layer.name) ? frozenPass(layer) : this.trainingPass(layer);
      this.overrides.set(layer.name, pass);
    }
  }

  /**
   * Sets the number of images of the next pass: on this rank, on all, and in each of several virtual workers of this
   * one.
   */
  begin(local: number, global: number, rows?: readonly Range[]): void {
    this.settle();
    this.share = { local, counted: this.config.statistics === 'local' ? local : global, rows };
  }

  /** Whether statistics need sums over ranks or virtual workers. */
  private get sharing(): boolean {
    const { rows = [] } = this.share;
    const { worldSize } = this.communicator;
    return this.config.statistics === 'synchronised' && (worldSize > 1 || rows.length > 1);
  }

  /**
   * Writes the moving statistics, or their averages (`choice`), into the model's layers, for evaluation. With local statistics the
   * ranks differ: every rank takes the mean over the ranks.
   */
  async publish(): Promise<void> {
    const flat = this.flatten();
    const { worldSize } = this.communicator;
    if (this.config.statistics === 'local' && worldSize > 1) {
      await this.communicator.allReduce(flat, { tag: 'moving-statistics' });
      this.take(
        flat.map((sum) => sum / worldSize),
        this.layers.filter((layer) => !this.isFrozen(layer)),
      );
    }
    for (const layer of this.layers) this.show(layer);
  }

  /** Ends a step: its statistics take part in the averages by this share. */
  average(share: number): void {
    this.unaveraged = share;
  }

  /** Numbers of the moving statistics. */
  get length(): number {
    return this.layers.reduce((sum, layer) => sum + 2 * this.movingOf(layer).mean.length, 0);
  }

  /** The moving statistics of every layer as one flat array, and after them their averages where there are some. */
  flatten(): Float32Array {
    const arrays = this.arrays();
    const flat = new Float32Array(arrays.reduce((sum, array) => sum + array.length, 0));
    let offset = 0;
    for (const array of arrays) {
      flat.set(array, offset);
      offset += array.length;
    }
    return flat;
  }

  /** Takes the moving statistics from a flat array that `flatten` made. */
  restore(flat: Float32Array): void {
    this.take(flat, this.layers);
    for (const layer of this.layers) if (this.isFrozen(layer)) this.show(layer);
  }

  /** Hands out the statistics of the pass just made that are tensors; whoever takes them disposes of them. */
  handOut(): PendingStatistics {
    const isTensor = ({ moments }: Pending) => moments.some((one) => one instanceof tf.Tensor);
    const own = this.pending.filter(isTensor);
    this.pending = this.pending.filter((entry) => !isTensor(entry));
    return {
      tensors: own.flatMap(({ moments }) => moments as readonly tf.Tensor[]),
      take: (values) => {
        let next = 0;
        for (const { moving, moments } of own) {
          const read = moments.map(() => Float64Array.from(values[next++]));
          this.pending.push({ moving, moments: read });
        }
      },
    };
  }

  /** Disposes of statistics that a pass which was interrupted has left. */
  dispose(): void {
    tf.dispose(this.pending.map(({ moments }) => moments.filter((one) => one instanceof tf.Tensor)));
    this.pending.length = 0;
  }

  /** The variables that evaluation reads, and the arrays of their values, which `publish` has put into them. */
  get published(): CapturedWeight[] {
    return this.layers.flatMap((layer) => {
      const { mean, variance } = of(this.shown, layer);
      return [mean, variance].map((values, index) => ({
        variable: layer.nonTrainableWeights[index].read() as tf.Variable,
        values,
      }));
    });
  }

  /** The variables of frozen layers, which training passes read, and the arrays of their values. */
  get frozenStatistics(): CapturedWeight[] {
    const frozen = this.layers.filter((layer) => this.isFrozen(layer)).map(({ name }) => name);
    return this.published.filter((_, index) => frozen.includes(this.layers[index >> 1].name));
  }

  /** Takes the statistics of some of the layers from a flat array that `flatten` made. */
  private take(flat: Float32Array, layers: readonly tf.layers.Layer[]): void {
    this.settle();
    const wanted = new Set(layers.map(({ name }) => name));
    let offset = 0;
    for (const [name, { mean, variance }] of [...this.moving, ...this.averages]) {
      for (const array of [mean, variance]) {
        if (wanted.has(name)) array.set(flat.subarray(offset, offset + array.length));
        offset += array.length;
      }
    }
  }

  /** Writes a layer's moving statistics, or their averages, into its variables. */
  private show(layer: tf.layers.Layer): void {
    const { mean, variance } = of(this.choice === 'average' ? this.averages : this.moving, layer);
    const shown = of(this.shown, layer);
    shown.mean.set(mean);
    shown.variance.set(variance);
    [mean, variance].forEach((values, index) => {
      const value = tf.tensor1d(values.slice());
      layer.nonTrainableWeights[index].write(value);
      value.dispose();
    });
  }

  private arrays(): Float32Array[] {
    this.settle();
    const all = [...this.moving.values(), ...this.averages.values()];
    return all.flatMap(({ mean, variance }) => [mean, variance]);
  }

  private movingOf(layer: tf.layers.Layer): MovingStatistics {
    return of(this.moving, layer);
  }

  private trainingPass(layer: tf.layers.Layer): LayerOverride {
    const { epsilon, scale, center } = layer.getConfig() as {
      epsilon: number;
      scale: boolean;
      center: boolean;
    };
    const weights = [...layer.trainableWeights];
    const gamma = scale ? weights.shift() : undefined;
    const beta = center ? weights.shift() : undefined;
    const channels = this.movingOf(layer).mean.length;
    const reduce = (sums: Float64Array, pass: 'forward' | 'backward') =>
      this.communicator.allReduceSync(sums, { tag: `${layer.name}/${pass}` });
    return (input, activation, residual) =>
      normalise(input, gamma?.read() ?? tf.ones([channels]), beta?.read() ?? tf.zeros([channels]), {
        epsilon,
        activation,
        residual,
        share: this.share,
        reduce: this.sharing ? reduce : undefined,
        onStatistics: (moments) => this.pending.push({ moving: this.movingOf(layer), moments }),
      });
  }

  /** Takes the last pass's statistics into the moving ones: all layers' in one read where they are tensors. */
  private settle(): void {
    this.takePending();
    const share = this.unaveraged;
    this.unaveraged = undefined;
    if (share === undefined) return;
    for (const layer of this.layers) {
      const [moving, average] = [this.movingOf(layer), of(this.averages, layer)];
      for (const name of ['mean', 'variance'] as const) approach(average[name], moving[name], share);
    }
  }

  private takePending(): void {
    if (this.pending.length === 0) return;
    const numbers = read(this.pending.map(({ moments }) => moments));
    const keep = this.config.momentum;
    for (const [index, { moving }] of this.pending.entries()) {
      const moments = numbers[index];
      const channels = moving.mean.length;
      for (const [array, offset] of [
        [moving.mean, 0],
        [moving.variance, channels],
      ] as const)
        for (let channel = 0; channel < channels; channel++)
          array[channel] = keep * array[channel] + (1 - keep) * moments[offset + channel];
    }
    this.pending.length = 0;
  }
}

/** A pass by moving statistics, which has no sums over images. */
function frozenPass(layer: tf.layers.Layer): LayerOverride {
  return (input, activation, residual) => {
    const output = layer.call(input, { training: false }) as tf.Tensor;
    if (residual) return addThen(activation, output, residual);
    return activation === 'relu' ? tf.relu(output) : output;
  };
}

function of(statistics: ReadonlyMap<string, MovingStatistics>, { name }: tf.layers.Layer): MovingStatistics {
  return present(statistics.get(name), `the statistics of ${name}`);
}

function copyOf({ mean, variance }: MovingStatistics): MovingStatistics {
  return { mean: mean.slice(), variance: variance.slice() };
}

function approach(averages: Float32Array, values: Float32Array, share: number): void {
  for (let channel = 0; channel < averages.length; channel++)
    averages[channel] += share * (values[channel] - averages[channel]);
}

/** The numbers of each group of statistics, those of all tensors in one read; disposes of the tensors. */
function read(groups: readonly (readonly Statistic[])[]): Float64Array[] {
  const tensors = groups.flat().filter((statistic) => statistic instanceof tf.Tensor);
  const values = tf.tidy(() =>
    tensors.length > 0 ? tf.concat(tensors).dataSync<'float32'>() : new Float32Array(),
  );
  tf.dispose(tensors);
  let next = 0;
  return groups.map((group) => {
    const parts = group.map((statistic) =>
      statistic instanceof tf.Tensor ? values.subarray(next, (next += statistic.size)) : statistic,
    );
    return Float64Array.from(parts.flatMap((part) => [...part]));
  });
}
