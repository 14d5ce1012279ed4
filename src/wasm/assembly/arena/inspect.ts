/** Sum of squares of float32 values, added up in double precision. */
export function squaredNorm(values: usize, bytes: usize): f64 {
  const end = values + bytes;
  const wide = values + (bytes & ~15);
  let low = f64x2.splat(0);
  let high = f64x2.splat(0);
  for (; values < wide; values += 16) {
    const four = v128.load(values);
    const first = f64x2.promote_low_f32x4(four);
    const second = f64x2.promote_low_f32x4(
      i8x16.shuffle(four, four, 8, 9, 10, 11, 12, 13, 14, 15, 0, 0, 0, 0, 0, 0, 0, 0),
    );
    low = f64x2.add(low, f64x2.mul(first, first));
    high = f64x2.add(high, f64x2.mul(second, second));
  }
  const both = f64x2.add(low, high);
  let sum = f64x2.extract_lane(both, 0) + f64x2.extract_lane(both, 1);
  for (; values < end; values += 4) {
    const value = <f64>load<f32>(values);
    sum += value * value;
  }
  return sum;
}

/** Index of the first float32 that is infinite or no number; -1 where all are finite. */
export function firstNonFinite(values: usize, bytes: usize): i32 {
  const start = values;
  const end = values + bytes;
  const wide = values + (bytes & ~15);
  for (; values < wide; values += 16) {
    const four = v128.load(values);
    if (!i32x4.all_true(f32x4.eq(f32x4.sub(four, four), f32x4.splat(0)))) break;
  }
  for (; values < end; values += 4) {
    const value = load<f32>(values);
    if (value - value != 0) return <i32>((values - start) >> 2);
  }
  return -1;
}
