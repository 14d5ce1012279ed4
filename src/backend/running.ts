import * as tf from '../tf/index.js';
import type { Backend, Fusions } from './backend.js';

interface Running {
  backend: Backend;
  fusions: Fusions;
}

/** Backends that have been started, by their names in TensorFlow.js. */
const started = new Map<string, Running>();

/** Records the backend that has just been started in TensorFlow.js. */
export function enter(backend: Backend, fusions: Fusions = {}): void {
  started.set(tf.getBackend(), { backend, fusions });
}

/** Fused operations of the running backend. */
export function running(): Fusions {
  return started.get(tf.getBackend())?.fusions ?? {};
}

/** Cause of an error of the running backend, where the backend knows it; every other error is returned as it is. */
export function explainFailure(error: unknown): unknown {
  return started.get(tf.getBackend())?.backend.explain?.(error) ?? error;
}
