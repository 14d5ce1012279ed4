import type { TensorInfo } from '../../tf/index.js';
import { convolutionGeometry, type ConvolutionAttributes } from './geometry.js';
import type { Heap } from './heap.js';

/** Gradient of a depthwise convolution with respect to its filter. */
export function depthwiseFilterGradient(
  heap: Heap,
  { x, dy }: { x: TensorInfo; dy: TensorInfo },
  attributes: ConvolutionAttributes,
): TensorInfo {
  const filterShape = attributes.filterShape as number[];
  const result = heap.zeros(filterShape);
  addGradients(heap, 1, { inputShape: x.shape, filterShape, dy, other: x, result }, attributes);
  return result;
}

/** Gradient of a depthwise convolution with respect to its input. */
export function depthwiseInputGradient(
  heap: Heap,
  { dy, filter }: { dy: TensorInfo; filter: TensorInfo },
  attributes: ConvolutionAttributes,
): TensorInfo {
  const inputShape = attributes.inputShape as number[];
  const result = heap.zeros(inputShape);
  addGradients(heap, 0, { inputShape, filterShape: filter.shape, dy, other: filter, result }, attributes);
  return result;
}

interface Operands {
  inputShape: number[];
  filterShape: number[];
  dy: TensorInfo;
  /** The filter, for the input's gradient (0), or the input, for the filter's (1). */
  other: TensorInfo;
  result: TensorInfo;
}

function addGradients(
  heap: Heap,
  gradient: 0 | 1,
  { inputShape, filterShape, dy, other, result }: Operands,
  attributes: ConvolutionAttributes,
): void {
  const geometry = convolutionGeometry(inputShape, filterShape, attributes, true);
  const { inHeight, inWidth, inChannels, outHeight, outWidth, outChannels, batchSize, padInfo } = geometry;
  const imageBytes = 4 * inHeight * inWidth * inChannels;
  for (let index = 0; index < batchSize; index++) {
    heap.kernels.addDepthwiseGradient(
      gradient,
      heap.at(dy) + 4 * index * outHeight * outWidth * outChannels,
      heap.at(other) + gradient * index * imageBytes,
      heap.at(result) + (1 - gradient) * index * imageBytes,
      inHeight,
      inWidth,
      inChannels,
      outChannels / inChannels,
      outHeight,
      outWidth,
      geometry.filterHeight,
      geometry.filterWidth,
      geometry.strideHeight,
      geometry.strideWidth,
      geometry.dilationHeight,
      geometry.dilationWidth,
      padInfo.top,
      padInfo.left,
    );
  }
}
