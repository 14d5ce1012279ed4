import * as tf from '@tensorflow/tfjs';
import { trainingKernels } from '../kernel-names.js';
import { batchNorm, batchNormGradient, batchNormSums, channelSums, knownBatchNorm } from './batch-norm.js';
import { convolutionFilterGradient, convolutionInputGradient } from './convolution-gradients.js';
import { depthwiseFilterGradient, depthwiseInputGradient } from './depthwise-gradients.js';
import type { Heap } from './heap.js';
import { correctSamePadding } from './same-padding.js';
import { maxPoolGradient } from './max-pool-gradient.js';

const backendName = 'wasm';

type Inputs = Record<string, tf.TensorInfo>;
type Attributes = Record<string, unknown>;
type Kernel = (heap: Heap, inputs: never, attributes: never) => tf.TensorInfo | tf.TensorInfo[];

const kernels: Record<string, Kernel> = {
  Conv2DBackpropFilter: convolutionFilterGradient,
  Conv2DBackpropInput: convolutionInputGradient,
  DepthwiseConv2dNativeBackpropFilter: depthwiseFilterGradient,
  DepthwiseConv2dNativeBackpropInput: depthwiseInputGradient,
  MaxPoolGrad: maxPoolGradient,
  UnsortedSegmentSum: segmentSum,
  Identity: share,
  [trainingKernels.reluGradient]: reluGradient,
  [trainingKernels.channelSums]: channelSums,
  [trainingKernels.batchNorm]: (heap, inputs, { epsilon }: { epsilon: number }) =>
    batchNorm(heap, inputs, epsilon),
  [trainingKernels.batchNormGradient]: batchNormGradient,
  [trainingKernels.batchNormSums]: (heap, inputs, { epsilon }: { epsilon: number }) =>
    batchNormSums(heap, inputs, epsilon),
};

/** Registers what the wasm backend lacks for training, and replaces what is wrong or slow in it. */
export function registerTrainingKernels(heap: Heap): void {
  for (const [kernelName, compute] of Object.entries(kernels)) {
    if (tf.getKernel(kernelName, backendName)) tf.unregisterKernel(kernelName, backendName);
    const kernelFunc: tf.KernelFunc = ({ inputs, attrs }) =>
      compute(heap, inputs as never, (attrs ?? {}) as never);
    tf.registerKernel({ kernelName, backendName, kernelFunc });
  }
  correctSamePadding(backendName);
  replaceWhere('Sum', ({ x }, { axis, keepDims }) => {
    const shape = x.shape;
    const axes = tf.util.parseAxisParam(axis as number[], shape);
    const allButLast = axes.length === shape.length - 1 && axes.every((value) => value < shape.length - 1);
    return allButLast && shape.length > 1 && !keepDims && x.dtype === 'float32'
      ? sumRows(heap, x)
      : undefined;
  });
  replaceWhere('FusedBatchNorm', ({ x, mean, variance, offset, scale }, { varianceEpsilon }) =>
    offset && scale && mean.shape.length === 1
      ? knownBatchNorm(heap, { x, mean, variance, offset, scale }, varianceEpsilon as number)
      : undefined,
  );
}

/** Puts a kernel before the one that tfjs ships, for the inputs that it takes. */
function replaceWhere(
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

/** The same values under another name; the kernel that tfjs ships copies them. */
function share(heap: Heap, { x }: { x: tf.TensorInfo }): tf.TensorInfo {
  heap.share(x);
  return { dataId: x.dataId, shape: x.shape, dtype: x.dtype };
}

function reluGradient(heap: Heap, { dy, y }: { dy: tf.TensorInfo; y: tf.TensorInfo }): tf.TensorInfo {
  const dx = heap.create(dy.shape);
  heap.kernels.reluGradient(heap.at(dy), heap.at(y), heap.at(dx), 4 * tf.util.sizeFromShape(dy.shape));
  return dx;
}

/** Sums over every axis but the last. */
function sumRows(heap: Heap, x: tf.TensorInfo): tf.TensorInfo {
  const channels = x.shape[x.shape.length - 1];
  const result = heap.create([channels]);
  const rows = tf.util.sizeFromShape(x.shape) / Math.max(channels, 1);
  heap.lend([8 * channels], (sums) =>
    heap.kernels.sumRows(heap.at(x), rows, channels, heap.at(result), sums),
  );
  return result;
}

/** Sums of the slices of `x` with equal segment ids. */
function segmentSum(
  heap: Heap,
  { x, segmentIds }: { x: tf.TensorInfo; segmentIds: tf.TensorInfo },
  { numSegments }: { numSegments: number },
): tf.TensorInfo {
  const rest = x.shape.slice(segmentIds.shape.length);
  const [rows, width] = [segmentIds.shape, rest].map((shape) => tf.util.sizeFromShape(shape));
  const result = heap.zeros([numSegments, ...rest]);
  heap.kernels.segmentSum(heap.at(x), heap.at(segmentIds), heap.at(result), rows, width, numSegments);
  return result;
}
