import { readFileSync } from 'node:fs';
import type { instantiate as instantiateArena } from './generated/arena.js';
import type { instantiate as instantiateRepulsion } from './generated/repulsion.js';
import type { instantiate as instantiateTraining } from './generated/training.js';

/** Kernels on the arena: reduction, bfloat16 and optimiser updates. */
export type ArenaKernels = Awaited<ReturnType<typeof instantiateArena>>;
/** Forces between unit vectors. */
export type RepulsionKernels = Awaited<ReturnType<typeof instantiateRepulsion>>;
/** Kernels for training that TensorFlow.js's wasm backend lacks. */
export type TrainingKernels = Awaited<ReturnType<typeof instantiateTraining>>;

interface Programs {
  arena: ArenaKernels;
  repulsion: RepulsionKernels;
  training: TrainingKernels;
}

/**
 * Instantiates one of the WebAssembly programs on a memory. Arguments of its kernels are offsets and lengths in bytes
 * unless their names say otherwise.
 *
 * @param memory shared for `arena`; the first 64 KiB are the program's own
 */
export function loadProgram<Name extends keyof Programs>(
  name: Name,
  memory: WebAssembly.Memory,
): Programs[Name] {
  const module = new WebAssembly.Module(readFileSync(new URL(`./${name}.wasm`, import.meta.url)));
  return new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Programs[Name];
}
