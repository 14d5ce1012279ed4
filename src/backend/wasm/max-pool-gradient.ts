import { backend_util, type TensorInfo } from '../../tf/index.js';
import type { Heap } from './heap.js';

interface PoolAttributes {
  filterSize: number | [number, number];
  strides: number | [number, number];
  pad: 'valid' | 'same' | number | backend_util.ExplicitPadding;
  dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

/**
 * Gradient of max pooling. The one that tfjs ships starts its search from the smallest positive float and so loses
 * windows without a positive value.
 */
export function maxPoolGradient(
  heap: Heap,
  { dy, input }: { dy: TensorInfo; input: TensorInfo },
  { filterSize, strides, pad, dimRoundingMode }: PoolAttributes,
): TensorInfo {
  const shape = input.shape as [number, number, number, number];
  const geometry = backend_util.computePool2DInfo(shape, filterSize, strides, 1, pad, dimRoundingMode);
  const { inHeight, inWidth, inChannels, outHeight, outWidth, batchSize, padInfo } = geometry;
  const result = heap.zeros(shape);
  const imageBytes = 4 * inHeight * inWidth * inChannels;
  for (let index = 0; index < batchSize; index++) {
    heap.kernels.addMaxPoolGradient(
      heap.at(input) + index * imageBytes,
      heap.at(dy) + 4 * index * outHeight * outWidth * inChannels,
      heap.at(result) + index * imageBytes,
      inHeight,
      inWidth,
      inChannels,
      outHeight,
      outWidth,
      geometry.effectiveFilterHeight,
      geometry.effectiveFilterWidth,
      geometry.strideHeight,
      geometry.strideWidth,
      geometry.dilationHeight,
      geometry.dilationWidth,
      padInfo.top,
      padInfo.left,
    );
  }
  return result;
}
