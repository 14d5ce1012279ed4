/** dx = dy where y > 0, else 0; `bytes` of float32. */
export function reluGradient(dy: usize, y: usize, dx: usize, bytes: usize): void {
  const zero = f32x4.splat(0);
  const wide = bytes & ~15;
  let at: usize = 0;
  for (; at < wide; at += 16)
    v128.store(dx + at, v128.and(v128.load(dy + at), f32x4.gt(v128.load(y + at), zero)));
  for (; at < bytes; at += 4) store<f32>(dx + at, load<f32>(y + at) > 0 ? load<f32>(dy + at) : 0);
}

/** Adds rows of x to those rows of `sums` that their ids name; ids outside [0, segments) name none. */
export function segmentSum(x: usize, ids: usize, sums: usize, rows: i32, width: i32, segments: i32): void {
  const row = (<usize>width) << 2;
  for (let index = 0; index < rows; index++) {
    const id = load<i32>(ids + ((<usize>index) << 2));
    if (id < 0 || id >= segments) continue;
    const from = x + <usize>index * row;
    const to = sums + <usize>id * row;
    for (let at: usize = 0; at < row; at += 4) store<f32>(to + at, load<f32>(to + at) + load<f32>(from + at));
  }
}
