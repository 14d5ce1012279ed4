import * as tf from '../tf/index.js';
import { onHost } from '../backend/host-values.js';
import type { Range } from './buckets.js';
import type { Parameters } from './parameters.js';

interface HookOptions {
  model: tf.LayersModel;
  parameters: Parameters;
  /** Flat gradients, filled as the backward pass goes on. */
  gradients: Float32Array;
  buckets: readonly Range[];
  /** Called before a parameter is read, within a pass or not. */
  onRead(parameter: number): void;
  /** Called once a pass that sends, for each bucket, from the last to the first, when its gradients are complete. */
  onBucket(index: number): void;
}

/** A parameter in one pass: number of its reads, and of these reads' gradients that have come. */
interface ReadCount {
  reads: number;
  gradients: number;
}

/** A parameter's gradient that the host has not taken yet. */
interface Arrival {
  parameter: number;
  gradient: tf.Tensor;
  /** Whether the same pass has given this parameter a gradient before. */
  again: boolean;
}

/**
 * Catches each parameter's gradient as the backward pass reaches it, so that full buckets travel while it goes on, and
 * reports when the forward pass first reads a parameter.
 *
 * During a pass a weight is read through an identity whose gradient function keeps the gradient until its bucket is
 * complete; then the host takes the bucket's gradients together. Gradients come in reverse order of the reads, about last
 * parameter first; buckets are announced strictly from last to first, in an order that the model alone decides, and so the
 * same on every rank. A captured pass is cut at each bucket, since the host's part in it is `onHost`.
 */
export class GradientHooks {
  private readonly indices: Map<string, number>;
  private counts: ReadCount[] = [];
  private arrived: Arrival[] = [];
  private active = false;
  private current = { add: false, send: false };
  private next = -1;

  constructor(private readonly options: HookOptions) {
    const { parameters, model } = options;
    this.indices = new Map(parameters.slots.map(({ name }, index) => [name, index]));
    for (const weight of model.trainableWeights) {
      const variable = weight.read() as tf.Variable;
      weight.read = () => this.read(variable);
    }
  }

  /** Sets what becomes of the gradients of the next pass: they replace the flat ones or are added, and are sent or not. */
  begin(current: { add: boolean; send: boolean }): void {
    this.current = current;
  }

  /** The variable itself, or within a pass an identity of it that has the hook. */
  read<T extends tf.Tensor>(variable: T): T {
    const index = this.indices.get((variable as unknown as tf.Variable).name);
    if (index === undefined) return variable;
    this.options.onRead(index);
    if (this.isFrozen(index)) return variable;
    const counts = this.active ? this.counts[index] : undefined;
    if (!counts) return variable;
    counts.reads++;
    const hook = tf.customGrad((value) => ({
      value: (value as tf.Tensor).clone(),
      gradFunc: (dy: tf.Tensor) => {
        this.take(index, dy);
        return dy;
      },
    }));
    return hook(variable) as T;
  }

  /** Makes a forward and backward pass whose gradients are hooked. */
  pass<T>(run: () => T): T {
    const { buckets, parameters } = this.options;
    this.counts = parameters.slots.map(() => ({ reads: 0, gradients: 0 }));
    this.next = buckets.length - 1;
    this.active = true;
    try {
      const result = run();
      this.active = false;
      this.handOver(0);
      return result;
    } finally {
      this.active = false;
      tf.dispose(this.arrived.splice(0).map(({ gradient }) => gradient));
    }
  }

  private take(parameter: number, gradient: tf.Tensor): void {
    const counts = this.counts[parameter];
    if (!counts) return;
    this.arrived.push({ parameter, gradient: tf.keep(gradient.clone()), again: counts.gradients > 0 });
    counts.gradients++;
    let complete = this.next;
    while (complete >= 0 && this.isComplete(complete)) complete--;
    if (complete < this.next) this.handOver(complete + 1);
  }

  /** Hands what has arrived to the host, which announces the buckets down to `last`; 0: the pass is over. */
  private handOver(last: number): void {
    const { parameters, gradients, onBucket } = this.options;
    const { arrived } = this;
    this.arrived = [];
    const complete = Array.from({ length: this.next + 1 - last }, (_, index) => this.next - index);
    const missing =
      last === 0 ? [...this.counts.keys()].filter((index) => !this.counts[index]?.gradients) : [];
    this.next = last - 1;
    const tensors = arrived.map(({ gradient }) => gradient);
    try {
      onHost(tensors, (values) => {
        const { add, send } = this.current;
        arrived.forEach(({ parameter, again }, index) =>
          parameters.takeGradient(parameter, values[index], gradients, add || again),
        );
        for (const parameter of missing) parameters.takeGradient(parameter, undefined, gradients, add);
        if (send) complete.forEach(onBucket);
        return [];
      });
    } finally {
      tf.dispose(tensors);
    }
  }

  private isFrozen(parameter: number): boolean {
    return this.options.parameters.groups[parameter]?.frozen === true;
  }

  /** Whether all gradients of a bucket have come. */
  private isComplete(bucket: number): boolean {
    const { buckets, parameters } = this.options;
    const { start, end } = buckets[bucket] as Range;
    return parameters.slots.every(({ offset, size }, index) => {
      if (offset >= end || offset + size <= start || this.isFrozen(index)) return true;
      const { reads, gradients } = this.counts[index] as ReadCount;
      return gradients > 0 && gradients === reads;
    });
  }
}
