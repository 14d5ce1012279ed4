import * as tf from '../tf/index.js';
import type { BatchNormOperations } from './batch-norm.js';

/** Operations that a backend has kernels of its own for; what it leaves out is composed of ordinary operations. */
export interface Fusions {
  /** dy where the ReLU's output y is positive, else 0. */
  reluGradient?(dy: tf.Tensor, y: tf.Tensor): tf.Tensor;
  batchNorm?: BatchNormOperations;
}

const fusions = new Map<string, Fusions>();

/** Says what the backend that has just been started in TensorFlow.js offers. */
export function offer(offered: Fusions): void {
  fusions.set(tf.getBackend(), offered);
}

/** What the backend that runs offers. */
export function running(): Fusions {
  return fusions.get(tf.getBackend()) ?? {};
}
