import { runProgram } from '../kernels/program.js';
import { loadProgram } from '../wasm/load.js';
import type { ReduceOp } from './communicator.js';
import type { ElementType } from '../transport/wire.js';

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
  /** Makes the calls that are written at a byte offset (`src/kernels/program.ts`). */
  run(offset: number): void;
}

/** Instantiates the kernels on a memory, such as the arena's. Its first 64 KiB stay unused by callers. */
export async function loadKernels(memory: WebAssembly.Memory): Promise<Kernels> {
  const arena = loadProgram('arena', memory);
  return {
    reduce: {
      float32: { sum: arena.addFloat32, max: arena.maxFloat32 },
      float64: { sum: arena.addFloat64, max: arena.maxFloat64 },
    },
    bfloat16: {
      pack: arena.packBfloat16,
      unpackAdd: arena.unpackAddBfloat16,
      unpack: arena.unpackBfloat16,
    },
    run: (offset) => runProgram(memory, offset, arena),
  };
}
