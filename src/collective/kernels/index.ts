import { readFile } from 'node:fs/promises';
import type { ReduceOp } from '../communicator.js';
import type { ElementType } from '../wire.js';
import { OptimiserKernels, type RawOptimisers } from './optimisers.js';
import { runProgram } from './program.js';

/** `target[i] = target[i] (op) source[i]` on the arena; offsets and length in bytes. */
export type ReduceKernel = (target: number, source: number, bytes: number) => void;

/** Float32 to and from bfloat16 on the arena; `bytes` counts the float32 side. */
export interface Bfloat16Kernels {
  /** Rounds values + residual to the nearest, ties to even; the residual becomes what rounding has taken away. */
  pack(target: number, values: number, residual: number, bytes: number): void;
  /** `values[i] += source[i]`. */
  unpackAdd(values: number, source: number, bytes: number): void;
  /** `values[i] = source[i]`. */
  unpack(values: number, source: number, bytes: number): void;
}

/** The WASM SIMD kernels, on one memory. */
export interface Kernels {
  reduce: Record<ElementType, Record<ReduceOp, ReduceKernel>>;
  bfloat16: Bfloat16Kernels;
  /** On typed arrays that view the same memory. */
  optimisers: OptimiserKernels;
  /** Makes the calls of the program at a byte offset (`program.ts`). */
  run(program: number): void;
}

interface Exports extends Bfloat16Exports, RawOptimisers {
  addFloat32: ReduceKernel;
  addFloat64: ReduceKernel;
  maxFloat32: ReduceKernel;
  maxFloat64: ReduceKernel;
}

interface Bfloat16Exports {
  packBfloat16: Bfloat16Kernels['pack'];
  unpackAddBfloat16: Bfloat16Kernels['unpackAdd'];
  unpackBfloat16: Bfloat16Kernels['unpack'];
}

/** Instantiates the kernels on a memory, such as the arena's. Its first 64 KiB stay unused by callers. */
export async function loadKernels(memory: WebAssembly.Memory): Promise<Kernels> {
  const bytes = await readFile(new URL('./kernels.wasm', import.meta.url));
  const { instance } = await WebAssembly.instantiate(bytes, { env: { memory } });
  const exports = instance.exports as unknown as Exports;
  return {
    reduce: {
      float32: { sum: exports.addFloat32, max: exports.maxFloat32 },
      float64: { sum: exports.addFloat64, max: exports.maxFloat64 },
    },
    bfloat16: {
      pack: exports.packBfloat16,
      unpackAdd: exports.unpackAddBfloat16,
      unpack: exports.unpackBfloat16,
    },
    optimisers: new OptimiserKernels(memory, exports),
    run: (program) => runProgram(memory, program, exports),
  };
}
