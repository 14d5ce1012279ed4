/** Numbers in [-0.5, 0.5) of the tensor with this index, as in golden/make.py. */
export function numbers(index: number, count: number): Float64Array {
  return Float64Array.from({ length: count }, (_, at) => {
    const mixed = (at * 2654435761 + index * 40503) % 2 ** 32;
    return ((mixed * 48271) % (2 ** 31 - 1)) / (2 ** 31 - 1) - 0.5;
  });
}

/** The tensor with this index and name. */
export function tensorOf(name: string, index: number, shape: readonly number[]) {
  const count = shape.reduce((size, side) => size * side, 1);
  const values = numbers(index, count);
  const scale = Math.sqrt(24 / (count / shape[0]));
  const data = Float32Array.from(values, (value) => {
    if (name.endsWith('running_var')) return 1 + value;
    if (!name.endsWith('weight')) return value;
    return shape.length === 1 ? 1 + 0.25 * value : value * scale;
  });
  return { shape, data };
}
