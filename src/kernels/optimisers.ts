import { PodDistError } from '../util/errors.js';
import { loadProgram, type ArenaKernels } from '../wasm/load.js';

/** The kernels of the arena that optimisers use. */
export type RawOptimisers = Pick<
  ArenaKernels,
  | 'addFloat32'
  | 'clearFloat32'
  | 'scaleFloat32'
  | 'sgd'
  | 'adamW'
  | 'average'
  | 'squaredNorm'
  | 'firstNonFinite'
>;

export interface SgdOptions {
  rate: number;
  momentum: number;
  nesterov: boolean;
  weightDecay: number;
  /** Factor of the gradients, such as that of clipping; default 1. */
  scale?: number;
}

export interface AdamWOptions {
  rate: number;
  /** Decay rates of the two moments. */
  betas: readonly [number, number];
  epsilon: number;
  weightDecay: number;
  /** Updates so far, this one included: from 1. */
  step: number;
  /** Factor of the gradients; default 1. */
  scale?: number;
}

/**
 * SIMD operations of an optimiser on its shard. Every array is a float32 view of the kernels' memory (from
 * `Communicator.allocate`), of one length, and is changed in place; another array throws the `PodDistError`
 * `NOT_IN_ARENA`.
 */
export class OptimiserKernels {
  constructor(
    private readonly memory: { readonly buffer: ArrayBufferLike },
    private readonly raw: RawOptimisers,
  ) {}

  /** `target[i] += source[i]`. */
  add(target: Float32Array, source: Float32Array): void {
    const [to, from] = this.offsets(target, source);
    this.raw.addFloat32(to, from, target.byteLength);
  }

  /** `values[i] = 0`. */
  clear(values: Float32Array): void {
    const [offset] = this.offsets(values);
    this.raw.clearFloat32(offset, values.byteLength);
  }

  /** `values[i] *= factor`. */
  scale(values: Float32Array, factor: number): void {
    const [offset] = this.offsets(values);
    this.raw.scaleFloat32(offset, values.byteLength, factor);
  }

  /**
   * SGD as PyTorch defines it, without dampening: g = scale * gradient + decay * w; v = momentum * v + g;
   * w -= rate * v, or with Nesterov w -= rate * (g + momentum * v).
   */
  sgd(weights: Float32Array, gradients: Float32Array, velocity: Float32Array, options: SgdOptions): void {
    const [w, g, v] = this.offsets(weights, gradients, velocity);
    const { rate, momentum, nesterov, weightDecay, scale = 1 } = options;
    this.raw.sgd(w, g, v, weights.byteLength, rate, momentum, weightDecay, scale, nesterov);
  }

  /** AdamW (arXiv 1711.05101) with bias correction; `mean` and `square` are the moments, zero at first. */
  adamW(
    weights: Float32Array,
    gradients: Float32Array,
    mean: Float32Array,
    square: Float32Array,
    { rate, betas: [beta1, beta2], epsilon, weightDecay, step, scale = 1 }: AdamWOptions,
  ): void {
    const [w, g, m, s] = this.offsets(weights, gradients, mean, square);
    this.raw.adamW(
      w,
      g,
      m,
      s,
      weights.byteLength,
      rate / (1 - beta1 ** step),
      1 / Math.sqrt(1 - beta2 ** step),
      beta1,
      beta2,
      1 - beta1,
      1 - beta2,
      epsilon,
      1 - rate * weightDecay,
      scale,
    );
  }

  /** Moving averages of weights: `averages[i] += share * (weights[i] - averages[i])`. */
  average(averages: Float32Array, weights: Float32Array, share: number): void {
    const [to, from] = this.offsets(averages, weights);
    this.raw.average(to, from, averages.byteLength, share);
  }

  /** Sum of squares, added up in double precision. */
  squaredNorm(values: Float32Array): number {
    const [offset] = this.offsets(values);
    return this.raw.squaredNorm(offset, values.byteLength);
  }

  /** Index of the first value that is infinite or no number; -1 where all are finite. */
  firstNonFinite(values: Float32Array): number {
    const [offset] = this.offsets(values);
    return this.raw.firstNonFinite(offset, values.byteLength);
  }

  private offsets(...arrays: Float32Array[]): number[] {
    for (const array of arrays) {
      if (array.buffer !== this.memory.buffer)
        throw new PodDistError(
          'NOT_IN_ARENA',
          'a kernel works on arrays from Communicator.allocate: this one lies elsewhere',
        );
      if (array.length !== arrays[0].length)
        throw new PodDistError(
          'NOT_IN_ARENA',
          `a kernel works on arrays of one length: ${array.length} is not ${arrays[0].length}`,
        );
    }
    return arrays.map((array) => array.byteOffset);
  }
}

/** The kernels on the memory of `Communicator.allocate`. */
export function loadOptimisers(memory: WebAssembly.Memory): OptimiserKernels {
  return new OptimiserKernels(memory, loadProgram('arena', memory));
}
