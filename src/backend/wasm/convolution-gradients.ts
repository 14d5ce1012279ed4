import type { backend_util, TensorInfo } from '../../tf/index.js';
import { convolutionGeometry, type ConvolutionAttributes } from './geometry.js';
import type { Heap } from './heap.js';

/** Bytes of neighbouring rows that the kernels pass over again and again. */
const groupBytes = 16_384;

/** How one image lies in the kernels' scratch memory: with its border, (j, c) side by side. */
interface Layout {
  geometry: backend_util.Conv2DInfo;
  /** Pixels a row of the image with its border. */
  width: number;
  /** Bytes of the image with its border, and of what a whole tile may read past it. */
  bytes: number;
  pixel: number;
  /** Rows and columns of the image that the convolution reads; the rest gets no gradient. */
  usedHeight: number;
  usedWidth: number;
  /** Pieces of a kernel row that lie side by side: one, or with dilation one a column. */
  segments: number;
  /** Numbers in a piece. */
  piece: number;
  segmentStep: number;
  /** Output rows taken together. */
  group: number;
}

/** Gradient of a convolution with respect to its filter; the kernel in src/wasm/assembly/training/convolution-filter.ts says how. */
export function convolutionFilterGradient(
  heap: Heap,
  { x, dy }: { x: TensorInfo; dy: TensorInfo },
  attributes: ConvolutionAttributes,
): TensorInfo {
  const layout = layOut(convolutionGeometry(x.shape, attributes.filterShape as number[], attributes));
  const { geometry, segments, piece } = layout;
  const { filterHeight, outChannels, outHeight, outWidth, batchSize, inChannels } = geometry;
  const r4 = (piece + 3) & ~3;
  const o8 = (outChannels + 7) & ~7;
  const pixels = outHeight * outWidth;
  const result = heap.create([filterHeight, geometry.filterWidth, inChannels, outChannels]);
  const rows = filterHeight * segments * r4;
  const padded = o8 === outChannels ? 0 : 4 * pixels * o8;
  heap.lend([layout.bytes, 4 * rows * o8, padded], (image, sums, wideDy) => {
    for (let index = 0; index < batchSize; index++) {
      putImage(heap, heap.at(x), image, index, layout);
      let slope = heap.at(dy) + 4 * index * pixels * outChannels;
      if (padded > 0) {
        heap.kernels.widen(slope, wideDy, pixels, 4 * outChannels, 4 * o8);
        slope = wideDy;
      }
      heap.kernels.addFilterGradient(
        image,
        slope,
        sums,
        filterHeight,
        segments,
        layout.segmentStep,
        r4,
        o8,
        outHeight,
        outWidth,
        layout.width * layout.pixel * geometry.dilationHeight,
        layout.width * layout.pixel * geometry.strideHeight,
        layout.pixel * geometry.strideWidth,
        layout.group,
      );
    }
    const from = heap.floats(sums, rows * o8);
    const to = heap.floats(heap.at(result), filterHeight * segments * piece * outChannels);
    let next = 0;
    for (let part = 0; part < filterHeight * segments; part++) {
      for (let r = 0; r < piece; r++) {
        const start = (part * r4 + r) * o8;
        to.set(from.subarray(start, start + outChannels), next);
        next += outChannels;
      }
    }
  });
  return result;
}

/** Gradient of a convolution with respect to its input; the kernel in src/wasm/assembly/training/convolution-input.ts says how. */
export function convolutionInputGradient(
  heap: Heap,
  { dy, filter }: { dy: TensorInfo; filter: TensorInfo },
  attributes: ConvolutionAttributes,
): TensorInfo {
  const inputShape = attributes.inputShape as number[];
  const layout = layOut(convolutionGeometry(inputShape, filter.shape, attributes));
  const { geometry, segments, piece } = layout;
  const { filterHeight, outChannels, outHeight, outWidth, batchSize } = geometry;
  const panels = Math.ceil(piece / 8);
  const result = heap.zeros(inputShape);
  const packedBytes = 4 * filterHeight * segments * panels * outChannels * 8;
  heap.lend([layout.bytes, packedBytes], (image, packed) => {
    heap.kernels.packFilter(heap.at(filter), packed, filterHeight * segments, piece, panels, outChannels);
    for (let index = 0; index < batchSize; index++) {
      if (index > 0) heap.clear(image, layout.bytes);
      heap.kernels.addInputGradient(
        image,
        heap.at(dy) + 4 * index * outHeight * outWidth * outChannels,
        packed,
        filterHeight,
        segments,
        layout.segmentStep,
        panels,
        outChannels,
        outHeight,
        outWidth,
        layout.width * layout.pixel * geometry.dilationHeight,
        layout.width * layout.pixel * geometry.strideHeight,
        layout.pixel * geometry.strideWidth,
        layout.group,
      );
      takeImage(heap, image, heap.at(result), index, layout);
    }
  });
  return result;
}

function layOut(geometry: backend_util.Conv2DInfo): Layout {
  const { inHeight, inWidth, inChannels, outHeight, outWidth, outChannels, padInfo } = geometry;
  const { strideHeight, strideWidth, dilationWidth } = geometry;
  const { effectiveFilterHeight, effectiveFilterWidth, filterWidth } = geometry;
  const height = (outHeight - 1) * strideHeight + effectiveFilterHeight;
  const width = (outWidth - 1) * strideWidth + effectiveFilterWidth;
  const pixel = 4 * inChannels;
  const segments = dilationWidth === 1 ? 1 : filterWidth;
  const rowBytes = width * pixel * strideHeight + 4 * outWidth * outChannels;
  return {
    geometry,
    width,
    bytes: height * width * pixel + 64,
    pixel,
    usedHeight: Math.max(0, Math.min(inHeight, height - padInfo.top)),
    usedWidth: Math.max(0, Math.min(inWidth, width - padInfo.left)),
    segments,
    piece: segments === 1 ? filterWidth * inChannels : inChannels,
    segmentStep: dilationWidth * pixel,
    group: Math.max(1, Math.floor(groupBytes / rowBytes)),
  };
}

function putImage(heap: Heap, images: number, image: number, index: number, layout: Layout): void {
  const { geometry, pixel, usedHeight, usedWidth, width } = layout;
  const { inHeight, inWidth, padInfo } = geometry;
  const from = images + index * inHeight * inWidth * pixel;
  heap.kernels.enlarge(
    from,
    image,
    usedHeight,
    usedWidth,
    inWidth * pixel,
    pixel,
    width,
    padInfo.top,
    padInfo.left,
  );
}

function takeImage(heap: Heap, image: number, images: number, index: number, layout: Layout): void {
  const { geometry, pixel, usedHeight, usedWidth, width } = layout;
  const { inHeight, inWidth, padInfo } = geometry;
  const to = images + index * inHeight * inWidth * pixel;
  heap.kernels.cut(
    image,
    to,
    usedHeight,
    usedWidth,
    inWidth * pixel,
    pixel,
    width,
    padInfo.top,
    padInfo.left,
  );
}
