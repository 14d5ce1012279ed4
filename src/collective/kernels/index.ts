import { readFile } from 'node:fs/promises';
import type { ReduceOp } from '../communicator.js';
import type { ElementType } from '../wire.js';

/** `target[i] = target[i] (op) source[i]` on the arena; offsets and length in bytes. */
export type ReduceKernel = (target: number, source: number, bytes: number) => void;

/** The WASM SIMD kernels, on one memory. */
export interface Kernels {
  reduce: Record<ElementType, Record<ReduceOp, ReduceKernel>>;
}

/** Instantiates the kernels on the arena's memory. */
export async function loadKernels(memory: WebAssembly.Memory): Promise<Kernels> {
  const bytes = await readFile(new URL('./kernels.wasm', import.meta.url));
  const { instance } = await WebAssembly.instantiate(bytes, { env: { memory } });
  const kernels = instance.exports as Record<string, ReduceKernel>;
  return {
    reduce: {
      float32: { sum: kernels.addFloat32, max: kernels.maxFloat32 },
      float64: { sum: kernels.addFloat64, max: kernels.maxFloat64 },
    },
  };
}
