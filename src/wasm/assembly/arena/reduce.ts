// Reductions on the arena: target[i] = target[i] (op) source[i]. Offsets and lengths in bytes; lengths are whole
// elements. The SIMD loop takes 16 bytes at a time, the rest goes element by element.

export function addFloat32(target: usize, source: usize, bytes: usize): void {
  const end = target + bytes;
  const wide = target + (bytes & ~15);
  const wider = target + (bytes & ~63);
  for (; target < wider; target += 64, source += 64) {
    v128.store(target, f32x4.add(v128.load(target), v128.load(source)));
    v128.store(target, f32x4.add(v128.load(target, 16), v128.load(source, 16)), 16);
    v128.store(target, f32x4.add(v128.load(target, 32), v128.load(source, 32)), 32);
    v128.store(target, f32x4.add(v128.load(target, 48), v128.load(source, 48)), 48);
  }
  for (; target < wide; target += 16, source += 16) {
    v128.store(target, f32x4.add(v128.load(target), v128.load(source)));
  }
  for (; target < end; target += 4, source += 4) store<f32>(target, load<f32>(target) + load<f32>(source));
}

export function addFloat64(target: usize, source: usize, bytes: usize): void {
  const end = target + bytes;
  const wide = target + (bytes & ~15);
  for (; target < wide; target += 16, source += 16) {
    v128.store(target, f64x2.add(v128.load(target), v128.load(source)));
  }
  for (; target < end; target += 8, source += 8) store<f64>(target, load<f64>(target) + load<f64>(source));
}

export function maxFloat32(target: usize, source: usize, bytes: usize): void {
  const end = target + bytes;
  const wide = target + (bytes & ~15);
  for (; target < wide; target += 16, source += 16) {
    v128.store(target, f32x4.max(v128.load(target), v128.load(source)));
  }
  for (; target < end; target += 4, source += 4)
    store<f32>(target, max(load<f32>(target), load<f32>(source)));
}

export function maxFloat64(target: usize, source: usize, bytes: usize): void {
  const end = target + bytes;
  const wide = target + (bytes & ~15);
  for (; target < wide; target += 16, source += 16) {
    v128.store(target, f64x2.max(v128.load(target), v128.load(source)));
  }
  for (; target < end; target += 8, source += 8)
    store<f64>(target, max(load<f64>(target), load<f64>(source)));
}

/** values[i] *= factor. */
export function scaleFloat32(values: usize, bytes: usize, factor: f32): void {
  const end = values + bytes;
  const wide = values + (bytes & ~15);
  const factors = f32x4.splat(factor);
  for (; values < wide; values += 16) v128.store(values, f32x4.mul(v128.load(values), factors));
  for (; values < end; values += 4) store<f32>(values, load<f32>(values) * factor);
}

/** values[i] = 0. */
export function clearFloat32(values: usize, bytes: usize): void {
  memory.fill(values, 0, bytes);
}
