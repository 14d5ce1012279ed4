import * as tf from '../tf/index.js';

export function hasKernel(name: string): boolean {
  return tf.getKernel(name, tf.getBackend()) !== undefined;
}

/** Runs a kernel where the running backend has it. */
export function runWhereKnown<T>(
  name: string,
  inputs: tf.NamedTensorMap,
  attributes: tf.NamedAttrMap = {},
): T | undefined {
  return hasKernel(name) ? (tf.engine().runKernel(name, inputs, attributes) as T) : undefined;
}

/** All outputs of a kernel, also of one that gives its only output by itself. */
export function runKernel(
  name: string,
  inputs: tf.NamedTensorMap,
  attributes: tf.NamedAttrMap = {},
): tf.Tensor[] {
  return [tf.engine().runKernel<tf.Tensor | tf.Tensor[]>(name, inputs, attributes)].flat();
}
