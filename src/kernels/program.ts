import { PodDistError } from '../util/errors.js';
import { OptimiserKernels, type RawOptimisers } from './optimisers.js';

/** Operations of a program; each is stored as its index here. */
const operations = ['addFloat32', 'clearFloat32', 'squaredNorm', 'sgd', 'adamW', 'average'] as const;
type Operation = (typeof operations)[number];

/** Kernels that change values and return nothing, called on arrays or recorded for later. */
export type ValueKernels = Pick<OptimiserKernels, 'add' | 'clear' | 'sgd' | 'adamW' | 'average'>;

/** Most numbers that one operation takes: its index, the number of its arguments, and these. */
const operationSize = 16;

/**
 * Kernel calls that one thread records and another makes, both on the same arena.
 *
 *     [n, operation, arguments, argument ..., operation, ...]      n numbers after the first, float64
 *
 * Record only when the program's last run is over.
 */
export class KernelProgram implements ValueKernels {
  /** In the arena, in bytes. */
  readonly offset: number;
  private readonly region: Float64Array;
  private readonly kernels: OptimiserKernels;

  /** Number of float32 that a program of so many operations takes. */
  static sizeOf(operations: number): number {
    return 2 * (1 + operations * operationSize);
  }

  /** @param region of `sizeOf(operations)` numbers in the arena, of which the program is the only user */
  constructor(region: Float32Array) {
    this.offset = region.byteOffset;
    this.region = new Float64Array(region.buffer, region.byteOffset, region.length / 2);
    const refuse = (): never => {
      throw new PodDistError('KERNEL_UNSUPPORTED', 'this kernel cannot be written into a program');
    };
    this.kernels = new OptimiserKernels(region, {
      addFloat32: (...values) => this.write('addFloat32', values),
      clearFloat32: (...values) => this.write('clearFloat32', values),
      sgd: (...values) => this.write('sgd', values),
      adamW: (...values) => this.write('adamW', values),
      average: (...values) => this.write('average', values),
      squaredNorm: (...values) => {
        this.write('squaredNorm', values);
        return 0;
      },
      scaleFloat32: refuse,
      firstNonFinite: refuse,
    });
  }

  /** Forgets all operations. */
  begin(): void {
    this.region[0] = 0;
  }

  readonly add: ValueKernels['add'] = (...given) => this.kernels.add(...given);
  readonly clear: ValueKernels['clear'] = (...given) => this.kernels.clear(...given);
  readonly sgd: ValueKernels['sgd'] = (...given) => this.kernels.sgd(...given);
  readonly adamW: ValueKernels['adamW'] = (...given) => this.kernels.adamW(...given);
  readonly average: ValueKernels['average'] = (...given) => this.kernels.average(...given);

  /** The run ends here with `NOT_FINITE` unless all values are finite. */
  requireFinite(values: Float32Array): void {
    this.kernels.squaredNorm(values);
  }

  private write(operation: Operation, values: readonly (number | boolean)[]): void {
    const { region } = this;
    const at = 1 + region[0];
    region[at] = operations.indexOf(operation);
    region[at + 1] = values.length;
    values.forEach((value, index) => (region[at + 2 + index] = Number(value)));
    region[0] += 2 + values.length;
  }
}

/** Makes the calls of the program at a byte offset. */
export function runProgram(memory: WebAssembly.Memory, offset: number, raw: RawOptimisers): void {
  const region = new Float64Array(memory.buffer, offset);
  const end = 1 + region[0];
  for (let at = 1; at < end;) {
    const operation = operations[region[at]];
    const values = region.subarray(at + 2, at + 2 + region[at + 1]);
    const kernel = raw[operation] as (...values: number[]) => number | undefined;
    const result = kernel(...values);
    if (operation === 'squaredNorm' && !Number.isFinite(result))
      throw new PodDistError('NOT_FINITE', 'a number that is to be finite is not');
    at += 2 + values.length;
  }
}
