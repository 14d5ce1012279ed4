import type * as library from './library.js';

/**
 * TensorFlow.js for code that only needs it once there are tensors. Recipes, help and lists of settings import such code
 * for its schemas, and TensorFlow.js takes longer to load than everything else that they need.
 *
 * `index.ts` sets it, which whoever makes a tensor has imported: it is not for use while a module loads.
 */
export let tf: typeof library;

/** Called by `index.ts`, once. */
export function setLoaded(loaded: typeof library): void {
  tf = loaded;
}
