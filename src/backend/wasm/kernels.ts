import * as tf from '../../tf/index.js';
import type { Fusions } from '../backend.js';
import { isBiasGradient, registerKernel, replaceWhere } from '../kernels.js';
import { batchNormOf, knownBatchNorm } from './batch-norm.js';
import { convolutionFilterGradient, convolutionInputGradient } from './convolution-gradients.js';
import { depthwiseFilterGradient, depthwiseInputGradient } from './depthwise-gradients.js';
import { backendName, type Heap } from './heap.js';
import { correctSamePadding } from './same-padding.js';
import { maxPoolGradient } from './max-pool-gradient.js';

type Kernel = (heap: Heap, inputs: never, attributes: never) => tf.TensorInfo | tf.TensorInfo[];

const kernels: Record<string, Kernel> = {
  Conv2DBackpropFilter: convolutionFilterGradient,
  Conv2DBackpropInput: convolutionInputGradient,
  DepthwiseConv2dNativeBackpropFilter: depthwiseFilterGradient,
  DepthwiseConv2dNativeBackpropInput: depthwiseInputGradient,
  MaxPoolGrad: maxPoolGradient,
  UnsortedSegmentSum: segmentSum,
  Identity: share,
};

/** Registers kernels that the wasm backend lacks for training, and replaces those that are wrong or slow in it. */
export function registerTrainingKernels(heap: Heap): Fusions {
  for (const [kernelName, compute] of Object.entries(kernels))
    registerKernel(backendName, kernelName, (inputs, attributes) =>
      compute(heap, inputs as never, attributes as never),
    );
  correctSamePadding(backendName);
  replaceWhere(backendName, 'Sum', (inputs, attributes) =>
    isBiasGradient(inputs, attributes) ? sumRows(heap, inputs.x) : undefined,
  );
  replaceWhere(backendName, 'FusedBatchNorm', ({ x, mean, variance, offset, scale }, { varianceEpsilon }) =>
    offset && scale && mean.shape.length === 1
      ? knownBatchNorm(heap, { x, mean, variance, offset, scale }, varianceEpsilon as number)
      : undefined,
  );
  const openRelu = registerKernel(backendName, 'ReluGrad', ({ dy, y }) => reluGradient(heap, dy, y));
  return { reluGradient: (dy, y) => openRelu({ dy, y })[0], batchNorm: batchNormOf(heap) };
}

/** Gives the same values another name; the kernel that tfjs ships copies them. */
function share(heap: Heap, { x }: { x: tf.TensorInfo }): tf.TensorInfo {
  heap.share(x);
  return { dataId: x.dataId, shape: x.shape, dtype: x.dtype };
}

function reluGradient(heap: Heap, dy: tf.TensorInfo, y: tf.TensorInfo): tf.TensorInfo {
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
