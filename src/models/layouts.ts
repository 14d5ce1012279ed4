/** A tensor of weights, row-major. */
export interface WeightTensor {
  shape: readonly number[];
  data: Float32Array;
}

/** A tensor with its axes in another order: axis i of the result is axis `order[i]` of the given one. */
export function transposed({ shape, data }: WeightTensor, order: readonly number[]): WeightTensor {
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
  const target = order.map((axis) => shape[axis]);
  const steps = order.map((axis) => strides[axis]);
  const result = new Float32Array(data.length);
  const position = new Array<number>(target.length).fill(0);
  let from = 0;
  for (let to = 0; to < result.length; to++) {
    result[to] = data[from];
    for (let axis = target.length - 1; axis >= 0; axis--) {
      from += steps[axis];
      if (++position[axis] < target[axis]) break;
      from -= steps[axis] * target[axis];
      position[axis] = 0;
    }
  }
  return { shape: target, data: result };
}

/** TensorFlow's filters [height, width, in, out] as PyTorch's [out, in, height, width]. */
export function convolutionWeight(filters: WeightTensor): WeightTensor {
  return transposed(filters, [3, 2, 0, 1]);
}

/** TensorFlow's depthwise filters [height, width, in, multiplier] as [in * multiplier, 1, height, width]. */
export function depthwiseWeight(filters: WeightTensor): WeightTensor {
  const { shape, data } = transposed(filters, [2, 3, 0, 1]);
  return { shape: [shape[0] * shape[1], 1, shape[2], shape[3]], data };
}

/**
 * The order of features that were flattened with channels first: feature i stands at `order[i]` where they were
 * flattened with channels last. Undefined where both are the same.
 */
export function flatteningOrder([channels, height, width]: readonly number[]): Int32Array | undefined {
  const pixels = height * width;
  if (channels === 1 || pixels === 1) return undefined;
  return Int32Array.from(
    { length: channels * pixels },
    (_, index) => (index % pixels) * channels + Math.floor(index / pixels),
  );
}

/** The rows of a tensor, row i being row `order[i]` of the given one; as it is without an order. */
export function reordered(tensor: WeightTensor, order: Int32Array | undefined): WeightTensor {
  if (!order) return tensor;
  const width = tensor.data.length / tensor.shape[0];
  const data = new Float32Array(tensor.data.length);
  order.forEach((from, to) => data.set(tensor.data.subarray(from * width, (from + 1) * width), to * width));
  return { shape: tensor.shape, data };
}

/** PyTorch's [out, in, height, width] as TensorFlow's filters [height, width, in, out]. */
export function convolutionFilters(weight: WeightTensor): WeightTensor {
  return transposed(weight, [2, 3, 1, 0]);
}

/** [in * multiplier, 1, height, width] as TensorFlow's depthwise filters [height, width, in, multiplier]. */
export function depthwiseFilters({ shape, data }: WeightTensor, multiplier: number): WeightTensor {
  const [channels, , height, width] = shape;
  return transposed({ shape: [channels / multiplier, multiplier, height, width], data }, [2, 3, 0, 1]);
}

/** The tensor of which `reordered` would make the given one: row `order[i]` is row i of the given one. */
export function reorderedBack({ shape, data }: WeightTensor, order: Int32Array): WeightTensor {
  const width = data.length / shape[0];
  const result = new Float32Array(data.length);
  order.forEach((to, from) => result.set(data.subarray(from * width, (from + 1) * width), to * width));
  return { shape, data: result };
}
