/** Rows and columns of border: top, bottom, left, right. */
export type Border = [top: number, bottom: number, left: number, right: number];

interface Window {
  /** [height, width] of the input. */
  size: readonly [number, number];
  kernel: readonly [number, number];
  strides: readonly [number, number];
  dilations?: readonly [number, number];
}

/**
 * The border that TensorFlow's `same` padding means: the output has ceil(size / stride) rows, and an odd border is
 * larger at the bottom and right.
 */
export function sameBorder({ size, kernel, strides, dilations = [1, 1] }: Window): Border {
  const [vertical, horizontal] = [0, 1].map((axis) => {
    const reach = (kernel[axis] - 1) * dilations[axis] + 1;
    const outputs = Math.ceil(size[axis] / strides[axis]);
    const total = Math.max((outputs - 1) * strides[axis] + reach - size[axis], 0);
    return [total >> 1, total - (total >> 1)];
  });
  return [vertical[0], vertical[1], horizontal[0], horizontal[1]];
}
