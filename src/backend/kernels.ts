import * as tf from '../tf/index.js';

export type Inputs = Record<string, tf.TensorInfo>;
export type Attributes = Record<string, unknown>;

/** Runs a kernel and returns all its outputs. */
export type RunKernel = (inputs: tf.NamedTensorMap, attributes?: tf.NamedAttrMap) => tf.Tensor[];

/**
 * Registers a kernel of a backend, in place of the one that it ships under that name. What is returned runs it on the
 * backend that runs: its outputs belong to the scope, and profiles count it.
 */
export function registerKernel(
  backendName: string,
  kernelName: string,
  compute: (inputs: Inputs, attributes: Attributes) => tf.TensorInfo | tf.TensorInfo[],
): RunKernel {
  if (tf.getKernel(kernelName, backendName)) tf.unregisterKernel(kernelName, backendName);
  const kernelFunc: tf.KernelFunc = ({ inputs, attrs }) =>
    compute(inputs as Inputs, (attrs ?? {}) as Attributes);
  tf.registerKernel({ kernelName, backendName, kernelFunc });
  return (inputs, attributes = {}) =>
    [tf.engine().runKernel<tf.Tensor | tf.Tensor[]>(kernelName, inputs, attributes)].flat();
}

/** Tries `compute` first; falls back to the shipped kernel where it returns undefined. */
export function replaceWhere(
  backendName: string,
  kernelName: string,
  compute: (inputs: Inputs, attributes: Attributes) => tf.TensorInfo | undefined,
): void {
  const shipped = tf.getKernel(kernelName, backendName);
  tf.unregisterKernel(kernelName, backendName);
  tf.registerKernel({
    ...shipped,
    kernelFunc: (call) =>
      compute(call.inputs as Inputs, (call.attrs ?? {}) as Attributes) ?? shipped.kernelFunc(call),
  });
}

/** Whether a `Sum` is over all axes but the last, as a bias gradient is, for which backends have a faster way. */
export function isBiasGradient({ x: { shape, dtype } }: Inputs, { axis, keepDims }: Attributes): boolean {
  const axes = tf.util.parseAxisParam(axis as number | number[], shape);
  const allButLast = axes.length === shape.length - 1 && axes.every((value) => value < shape.length - 1);
  return allButLast && shape.length > 1 && !keepDims && dtype === 'float32';
}
