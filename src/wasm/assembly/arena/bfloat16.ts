// bfloat16: the upper half of a float32. Rounding goes to the nearest, ties to even: add half of the lower half's
// range, less one bit, plus the lowest bit that stays. `bytes` counts the float32 side.

/** Rounds four values; each lane's result stands in its upper 16 bits. A NaN stays one. */
function round4(values: v128): v128 {
  const bits = v128.and(i32x4.shr_u(values, 16), i32x4.splat(1));
  const rounded = i32x4.add(values, i32x4.add(bits, i32x4.splat(0x7fff)));
  const isNaN = f32x4.ne(values, values);
  const quiet = v128.or(values, i32x4.splat(0x00400000));
  return v128.and(v128.bitselect(quiet, rounded, isNaN), i32x4.splat(<i32>0xffff0000));
}

function round1(value: f32): u32 {
  const bits = reinterpret<u32>(value);
  if (value != value) return (bits | 0x00400000) & 0xffff0000;
  return (bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff0000;
}

/**
 * Packs with error feedback: x = values[i] + residual[i], target[i] = bf16(x), residual[i] = x - bf16(x).
 * A residual that is no finite number becomes 0. The values stay as they are.
 */
export function packBfloat16(target: usize, values: usize, residual: usize, bytes: usize): void {
  const end = values + bytes;
  const wide = values + (bytes & ~31);
  for (; values < wide; values += 32, residual += 32, target += 16) {
    const low = f32x4.add(v128.load(values), v128.load(residual));
    const high = f32x4.add(v128.load(values, 16), v128.load(residual, 16));
    const lowRounded = round4(low);
    const highRounded = round4(high);
    v128.store(residual, finite4(f32x4.sub(low, lowRounded)));
    v128.store(residual, finite4(f32x4.sub(high, highRounded)), 16);
    v128.store(
      target,
      i8x16.shuffle(lowRounded, highRounded, 2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23, 26, 27, 30, 31),
    );
  }
  for (; values < end; values += 4, residual += 4, target += 2) {
    const value: f32 = load<f32>(values) + load<f32>(residual);
    const rounded = round1(value);
    const rest: f32 = value - reinterpret<f32>(rounded);
    store<f32>(residual, rest - rest == 0 ? rest : 0);
    store<u16>(target, <u16>(rounded >> 16));
  }
}

/** values[i] += bf16 source[i]. */
export function unpackAddBfloat16(values: usize, source: usize, bytes: usize): void {
  const end = values + bytes;
  const wide = values + (bytes & ~31);
  for (; values < wide; values += 32, source += 16) {
    const packed = v128.load(source);
    v128.store(values, f32x4.add(v128.load(values), low4(packed)));
    v128.store(values, f32x4.add(v128.load(values, 16), high4(packed)), 16);
  }
  for (; values < end; values += 4, source += 2) {
    store<f32>(values, load<f32>(values) + reinterpret<f32>((<u32>load<u16>(source)) << 16));
  }
}

/** values[i] = bf16 source[i]. */
export function unpackBfloat16(values: usize, source: usize, bytes: usize): void {
  const end = values + bytes;
  const wide = values + (bytes & ~31);
  for (; values < wide; values += 32, source += 16) {
    const packed = v128.load(source);
    v128.store(values, low4(packed));
    v128.store(values, high4(packed), 16);
  }
  for (; values < end; values += 4, source += 2) {
    store<f32>(values, reinterpret<f32>((<u32>load<u16>(source)) << 16));
  }
}

function low4(packed: v128): v128 {
  return i32x4.shl(i32x4.extend_low_i16x8_u(packed), 16);
}

function high4(packed: v128): v128 {
  return i32x4.shl(i32x4.extend_high_i16x8_u(packed), 16);
}

/** Zero in the place of what is no finite number: only a finite x has x - x = 0. */
function finite4(values: v128): v128 {
  return v128.and(values, f32x4.eq(f32x4.sub(values, values), f32x4.splat(0)));
}
