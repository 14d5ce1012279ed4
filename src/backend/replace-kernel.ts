import * as tf from '../tf/index.js';

export type Inputs = Record<string, tf.TensorInfo>;
export type Attributes = Record<string, unknown>;

/** Puts `compute` before the kernel that a backend ships, which has what `compute` gives nothing for. */
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
