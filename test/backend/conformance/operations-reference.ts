/** Operations of networks from their definitions, in double precision, one value at a time. Images are NHWC. */
type Shape4 = [number, number, number, number];
type Pair = readonly [number, number];

export interface Geometry {
  strides: Pair;
  pad: 'same' | 'valid';
  dilations?: Pair;
}

/** Number of window positions along one axis, and by how much the first position lies before the image. */
function along(size: number, window: number, stride: number, pad: 'same' | 'valid') {
  if (pad === 'valid') return { count: Math.floor((size - window) / stride) + 1, before: 0 };
  const count = Math.ceil(size / stride);
  return { count, before: Math.floor(Math.max((count - 1) * stride + window - size, 0) / 2) };
}

/** Window positions along height and width. */
export function placesOf(
  [, height, width]: Shape4,
  [rows, columns]: Pair,
  { strides, pad, dilations = [1, 1] }: Geometry,
) {
  const down = along(height, (rows - 1) * dilations[0] + 1, strides[0], pad);
  const across = along(width, (columns - 1) * dilations[1] + 1, strides[1], pad);
  return { down, across };
}

/** Calls `visit` for every input pixel, window element and output pixel that meet, with their indices from 0. */
function eachTap(
  shape: Shape4,
  window: Pair,
  geometry: Geometry,
  visit: (pixel: number, position: number, place: number) => void,
): void {
  const [images, height, width] = shape;
  const { strides, dilations = [1, 1] } = geometry;
  const { down, across } = placesOf(shape, window, geometry);
  for (let image = 0; image < images; image++)
    for (let i = 0; i < down.count; i++)
      for (let j = 0; j < across.count; j++)
        for (let k = 0; k < window[0]; k++)
          for (let l = 0; l < window[1]; l++) {
            const row = i * strides[0] + k * dilations[0] - down.before;
            const column = j * strides[1] + l * dilations[1] - across.before;
            if (row < 0 || row >= height || column < 0 || column >= width) continue;
            visit(
              (image * height + row) * width + column,
              k * window[1] + l,
              (image * down.count + i) * across.count + j,
            );
          }
}

interface Operands {
  x: Float64Array;
  shape: Shape4;
  filter: Float64Array;
  filterShape: Shape4;
  geometry: Geometry;
}

/** Calls `visit` for every product of a convolution with filters [height, width, channels, outputs]. */
function eachProduct(
  { shape, filterShape: [rows, columns, channels, outputs], geometry }: Omit<Operands, 'x' | 'filter'>,
  depthwise: boolean,
  visit: (x: number, filter: number, y: number) => void,
): void {
  const wide = depthwise ? channels * outputs : outputs;
  eachTap(shape, [rows, columns], geometry, (pixel, position, place) => {
    for (let c = 0; c < channels; c++)
      for (let o = 0; o < outputs; o++)
        visit(
          pixel * channels + c,
          (position * channels + c) * outputs + o,
          place * wide + (depthwise ? c * outputs + o : o),
        );
  });
}

export function convolve(operands: Operands, depthwise = false): Float64Array {
  const { x, shape, filter, filterShape, geometry } = operands;
  const { down, across } = placesOf(shape, [filterShape[0], filterShape[1]], geometry);
  const outputs = depthwise ? filterShape[2] * filterShape[3] : filterShape[3];
  const y = new Float64Array(shape[0] * down.count * across.count * outputs);
  eachProduct(operands, depthwise, (from, weight, to) => (y[to] += x[from] * filter[weight]));
  return y;
}

/** Gradients of a convolution with respect to images and filters. */
export function convolutionGradients(
  operands: Operands,
  dy: Float64Array,
  depthwise = false,
): [Float64Array, Float64Array] {
  const { x, filter } = operands;
  const [dx, dfilter] = [new Float64Array(x.length), new Float64Array(filter.length)];
  eachProduct(operands, depthwise, (from, weight, to) => {
    dx[from] += dy[to] * filter[weight];
    dfilter[weight] += dy[to] * x[from];
  });
  return [dx, dfilter];
}

/** Largest value of each window, and the gradient, which passes dy to the largest value. */
export function maxPool(
  x: Float64Array,
  shape: Shape4,
  window: Pair,
  geometry: Geometry,
  dy: (length: number) => Float64Array,
): [Float64Array, Float64Array] {
  const channels = shape[3];
  const { down, across } = placesOf(shape, window, geometry);
  const y = new Float64Array(shape[0] * down.count * across.count * channels).fill(-Infinity);
  const largest = new Int32Array(y.length);
  eachTap(shape, window, geometry, (pixel, _position, place) => {
    for (let c = 0; c < channels; c++) {
      const [from, to] = [pixel * channels + c, place * channels + c];
      if (x[from] > y[to]) [y[to], largest[to]] = [x[from], from];
    }
  });
  const gradient = dy(y.length);
  const dx = new Float64Array(x.length);
  largest.forEach((from, to) => (dx[from] += gradient[to]));
  return [y, dx];
}
