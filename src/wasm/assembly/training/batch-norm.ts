// Batch norm over rows of channels [rows, channels], and its gradient.
//
// The statistics are summed in float64, so that they come out the same, to the last bit that float32 keeps, however
// the rows are split over workers. Sums for gradients go over rows in float32 within blocks that fit the first-level
// cache, over the blocks in float64.

const blockBytes = 16384;

/** Sums of x and of its squares over the rows, float64 [2, channels]. */
export function channelSums(x: usize, rows: i32, channels: i32, sums: usize): void {
  const row = (<usize>channels) << 2;
  memory.fill(sums, 0, (<usize>channels) << 4);
  const block = max(1, blockBytes / <i32>row);
  for (let first = 0; first < rows; first += block) {
    const count = min(block, rows - first);
    const start = x + <usize>first * row;
    let channel = 0;
    for (; channel + 4 <= channels; channel += 4) {
      const totals = sums + ((<usize>channel) << 3);
      const squares = sums + ((<usize>(channels + channel)) << 3);
      let low = v128.load(totals);
      let high = v128.load(totals, 16);
      let lowSquares = v128.load(squares);
      let highSquares = v128.load(squares, 16);
      let at = start + ((<usize>channel) << 2);
      for (let index = 0; index < count; index++) {
        const values = v128.load(at);
        const first = f64x2.promote_low_f32x4(values);
        const last = f64x2.promote_low_f32x4(v128.shuffle<i32>(values, values, 2, 3, 2, 3));
        low = f64x2.add(low, first);
        high = f64x2.add(high, last);
        lowSquares = f64x2.add(lowSquares, f64x2.mul(first, first));
        highSquares = f64x2.add(highSquares, f64x2.mul(last, last));
        at += row;
      }
      v128.store(totals, low);
      v128.store(totals, high, 16);
      v128.store(squares, lowSquares);
      v128.store(squares, highSquares, 16);
    }
    for (; channel < channels; channel++) {
      let total: f64 = 0;
      let squares: f64 = 0;
      let at = start + ((<usize>channel) << 2);
      for (let index = 0; index < count; index++) {
        const value = <f64>load<f32>(at);
        total += value;
        squares += value * value;
        at += row;
      }
      addOne(sums + ((<usize>channel) << 3), total);
      addOne(sums + ((<usize>(channels + channel)) << 3), squares);
    }
  }
}

/** y = scale x + offset, [channels] each. */
export function line(x: usize, y: usize, rows: i32, channels: i32, scale: usize, offset: usize): void {
  for (let row = 0; row < rows; row++) {
    let at: usize = 0;
    const wide = (<usize>(channels & ~3)) << 2;
    const end = (<usize>channels) << 2;
    for (; at < wide; at += 16) {
      const value = f32x4.mul(v128.load(x + at), v128.load(scale + at));
      v128.store(y + at, f32x4.add(value, v128.load(offset + at)));
    }
    for (; at < end; at += 4)
      store<f32>(y + at, load<f32>(x + at) * load<f32>(scale + at) + load<f32>(offset + at));
    x += end;
    y += end;
  }
}

/** z = a dy + b x + c, [channels] each. */
export function plane(
  dy: usize,
  x: usize,
  z: usize,
  rows: i32,
  channels: i32,
  a: usize,
  b: usize,
  c: usize,
): void {
  for (let row = 0; row < rows; row++) {
    let at: usize = 0;
    const wide = (<usize>(channels & ~3)) << 2;
    const end = (<usize>channels) << 2;
    for (; at < wide; at += 16) {
      const value = f32x4.add(f32x4.mul(v128.load(x + at), v128.load(b + at)), v128.load(c + at));
      v128.store(z + at, f32x4.add(f32x4.mul(v128.load(dy + at), v128.load(a + at)), value));
    }
    for (; at < end; at += 4) {
      const value = load<f32>(x + at) * load<f32>(b + at) + load<f32>(c + at);
      store<f32>(z + at, load<f32>(dy + at) * load<f32>(a + at) + value);
    }
    dy += end;
    x += end;
    z += end;
  }
}

/** Sums of dy and of dy (x - mean) over the rows, float64 [2, channels]. */
export function gradientSums(dy: usize, x: usize, rows: i32, channels: i32, mean: usize, sums: usize): void {
  const row = (<usize>channels) << 2;
  memory.fill(sums, 0, (<usize>channels) << 4);
  const block = max(1, blockBytes / 2 / <i32>row);
  for (let first = 0; first < rows; first += block) {
    const count = min(block, rows - first);
    const start = <usize>first * row;
    let channel = 0;
    for (; channel + 4 <= channels; channel += 4) {
      const offset = (<usize>channel) << 2;
      const centre = v128.load(mean + offset);
      let total = f32x4.splat(0);
      let products = f32x4.splat(0);
      let at = start + offset;
      for (let index = 0; index < count; index++) {
        const slope = v128.load(dy + at);
        total = f32x4.add(total, slope);
        products = f32x4.add(products, f32x4.mul(slope, f32x4.sub(v128.load(x + at), centre)));
        at += row;
      }
      addWide(sums + ((<usize>channel) << 3), total);
      addWide(sums + ((<usize>(channels + channel)) << 3), products);
    }
    for (; channel < channels; channel++) {
      const offset = (<usize>channel) << 2;
      const centre = load<f32>(mean + offset);
      let total: f32 = 0;
      let products: f32 = 0;
      let at = start + offset;
      for (let index = 0; index < count; index++) {
        const slope = load<f32>(dy + at);
        total += slope;
        products += slope * (load<f32>(x + at) - centre);
        at += row;
      }
      addOne(sums + ((<usize>channel) << 3), total);
      addOne(sums + ((<usize>(channels + channel)) << 3), products);
    }
  }
}

/** Sums of x over the rows, float32 [channels]; `sums` is scratch for channels float64. */
export function sumRows(x: usize, rows: i32, channels: i32, result: usize, sums: usize): void {
  const row = (<usize>channels) << 2;
  memory.fill(sums, 0, (<usize>channels) << 3);
  const block = max(1, blockBytes / <i32>row);
  for (let first = 0; first < rows; first += block) {
    const count = min(block, rows - first);
    const start = x + <usize>first * row;
    let channel = 0;
    for (; channel + 4 <= channels; channel += 4) {
      let total = f32x4.splat(0);
      let at = start + ((<usize>channel) << 2);
      for (let index = 0; index < count; index++) {
        total = f32x4.add(total, v128.load(at));
        at += row;
      }
      addWide(sums + ((<usize>channel) << 3), total);
    }
    for (; channel < channels; channel++) {
      let total: f32 = 0;
      let at = start + ((<usize>channel) << 2);
      for (let index = 0; index < count; index++) {
        total += load<f32>(at);
        at += row;
      }
      addOne(sums + ((<usize>channel) << 3), total);
    }
  }
  for (let channel = 0; channel < channels; channel++)
    store<f32>(result + ((<usize>channel) << 2), <f32>load<f64>(sums + ((<usize>channel) << 3)));
}

function addWide(sums: usize, values: v128): void {
  v128.store(sums, f64x2.add(v128.load(sums), f64x2.promote_low_f32x4(values)));
  const high = v128.shuffle<i32>(values, values, 2, 3, 2, 3);
  v128.store(sums, f64x2.add(v128.load(sums, 16), f64x2.promote_low_f32x4(high)), 16);
}

function addOne(sums: usize, value: f64): void {
  store<f64>(sums, load<f64>(sums) + value);
}
