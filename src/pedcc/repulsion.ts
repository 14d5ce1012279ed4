import { loadProgram, type RepulsionKernels } from '../wasm/load.js';

const pageBytes = 65_536;

/** Unit vectors and the forces between them in the memory of a WASM SIMD kernel. */
export class Repulsion {
  /** Row-major [count, stride]; the columns from dim on stay 0. */
  readonly vectors: Float32Array;
  /** Row-major [count, stride]. */
  readonly forces: Float32Array;
  /** Numbers a row: dim, rounded up to whole SIMD registers. */
  readonly stride: number;
  private readonly kernels: RepulsionKernels;

  constructor(
    private readonly count: number,
    dim: number,
  ) {
    this.stride = Math.ceil(dim / 4) * 4;
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 65_536 });
    this.kernels = loadProgram('repulsion', memory);
    const start = Math.ceil(this.kernels.heapBase() / 16) * 16;
    // The kernel reads up to three rows beyond the last.
    const bytes = (count + 3) * this.stride * 4;
    memory.grow(Math.ceil((start + 2 * bytes) / pageBytes) - 1);
    this.vectors = new Float32Array(memory.buffer, start, count * this.stride);
    this.forces = new Float32Array(memory.buffer, start + bytes, count * this.stride);
  }

  /**
   * Writes the forces between all vectors: for every pair of cosine c, each is given the other times
   * exp(beta (c - reference)). Returns the largest cosine, and the mean over the vectors of their weights' sum.
   */
  repel(beta: number, reference: number): { maxCosine: number; meanWeight: number } {
    this.forces.fill(0);
    const maxCosine = this.run(beta, reference);
    return { maxCosine, meanWeight: this.kernels.weightSum() / this.count };
  }

  /** The largest cosine between the vectors, or between the first `count` of them. */
  largestCosine(count = this.count): number {
    const beta = 1e6;
    const beyondReach = 2;
    return this.run(beta, beyondReach, count);
  }

  private run(beta: number, reference: number, count = this.count): number {
    const { vectors, forces, stride } = this;
    return this.kernels.repel(vectors.byteOffset, forces.byteOffset, count, 4 * stride, beta, reference);
  }
}
