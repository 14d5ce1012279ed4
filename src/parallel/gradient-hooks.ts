import * as tf from '../tf/index.js';
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
  /** Called once a pass for each bucket, from the last to the first, when its gradients are complete. */
  onBucket(index: number): void;
}

/** A parameter in one pass: number of its reads, and of these reads' gradients that have come. */
interface ReadCount {
  reads: number;
  gradients: number;
}

/**
 * Catches each parameter's gradient as the backward pass reaches it, so that full buckets travel while it goes on, and
 * reports when the forward pass first reads a parameter.
 *
 * During a pass a weight is read through an identity whose gradient function copies the gradient. Gradients come in
 * reverse order of the reads, about last parameter first; buckets are announced strictly from last to first, in an
 * order that the model alone decides, and so the same on every rank.
 */
export class GradientHooks {
  private readonly indices: Map<string, number>;
  private counts: ReadCount[] = [];
  private active = false;
  private add = false;
  private next = -1;

  constructor(private readonly options: HookOptions) {
    const { parameters, model } = options;
    this.indices = new Map(parameters.slots.map(({ name }, index) => [name, index]));
    for (const weight of model.trainableWeights) {
      const variable = weight.read() as tf.Variable;
      weight.read = () => this.read(variable);
    }
  }

  /** The variable itself, or within a pass an identity of it that has the hook. */
  read<T extends tf.Tensor>(variable: T): T {
    const index = this.indices.get((variable as unknown as tf.Variable).name);
    if (index === undefined) return variable;
    this.options.onRead(index);
    if (!this.active) return variable;
    this.counts[index].reads++;
    const hook = tf.customGrad((value) => ({
      value: (value as tf.Tensor).clone(),
      gradFunc: (dy: tf.Tensor) => {
        this.take(index, dy);
        return dy;
      },
    }));
    return hook(variable) as T;
  }

  /**
   * Runs a forward and backward pass whose gradients are hooked; they replace the flat ones, or are added to them.
   * Buckets are announced where `send` is true.
   */
  pass<T>({ add, send }: { add: boolean; send: boolean }, run: () => T): T {
    const { buckets, gradients, parameters, onBucket } = this.options;
    this.counts = parameters.slots.map(() => ({ reads: 0, gradients: 0 }));
    this.add = add;
    this.next = send ? buckets.length - 1 : -1;
    this.active = true;
    let result: T;
    try {
      result = run();
    } finally {
      this.active = false;
    }
    parameters.slots.forEach(({ offset, size }, index) => {
      if (!add && this.counts[index].gradients === 0) gradients.fill(0, offset, offset + size);
    });
    for (; this.next >= 0; this.next--) onBucket(this.next);
    return result;
  }

  private take(index: number, dy: tf.Tensor): void {
    const { parameters, gradients } = this.options;
    const counts = this.counts[index];
    parameters.readGradient(index, dy, gradients, this.add || counts.gradients > 0);
    counts.gradients++;
    this.announce();
  }

  private announce(): void {
    const { buckets, parameters, onBucket } = this.options;
    for (; this.next >= 0; this.next--) {
      const { start, end } = buckets[this.next];
      const complete = parameters.slots.every(
        ({ offset, size }, index) => offset >= end || offset + size <= start || this.isComplete(index),
      );
      if (!complete) return;
      onBucket(this.next);
    }
  }

  private isComplete(index: number): boolean {
    const { reads, gradients } = this.counts[index];
    return gradients > 0 && gradients === reads;
  }
}
