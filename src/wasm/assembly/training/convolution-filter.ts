// Gradient of a convolution with respect to its filter, of one image at a time, NHWC.
//
//     dW[i, j, c, o] += sum over y, x of X[y s + i d, x s + j d, c] dY[y, x, o]        (X with its border of zeros)
//
// For one i and neighbouring j the values X[..., j, c] lie side by side, so (j, c) is one index r and every tile of
// four r and eight o is an outer product of four and eight neighbouring numbers, summed over the pixels in eight
// registers. Rows of pixels are taken in groups that fit the first-level cache, since every tile reads them again.
// X, dY and dW are padded copies: whole tiles everywhere, so what lies in the padding of dW is meaningless.

/** Adds one image's dW. Strides and widths in bytes; `r4` is a multiple of 4, `o8` of 8, both in elements. */
export function addFilterGradient(
  x: usize,
  dy: usize,
  dw: usize,
  kernelHeight: i32,
  segments: i32,
  segmentStep: usize,
  r4: i32,
  o8: i32,
  outHeight: i32,
  outWidth: i32,
  xRow: usize,
  xRowStep: usize,
  xStep: usize,
  group: i32,
): void {
  const dyStep = (<usize>o8) << 2;
  const dyRow = <usize>outWidth * dyStep;
  for (let first = 0; first < outHeight; first += group) {
    const rows = min(group, outHeight - first);
    const dyGroup = dy + <usize>first * dyRow;
    let target = dw;
    for (let i = 0; i < kernelHeight; i++) {
      for (let segment = 0; segment < segments; segment++) {
        const corner = x + <usize>first * xRowStep + <usize>i * xRow + <usize>segment * segmentStep;
        for (let r = 0; r < r4; r += 4) {
          for (let o = 0; o < o8; o += 8) {
            tile(
              corner + ((<usize>r) << 2),
              dyGroup + ((<usize>o) << 2),
              target + ((<usize>o) << 2),
              rows,
              outWidth,
              xRowStep,
              xStep,
              dyStep,
            );
          }
          target += dyStep << 2;
        }
      }
    }
  }
}

function tile(
  x: usize,
  dy: usize,
  dw: usize,
  rows: i32,
  columns: i32,
  xRowStep: usize,
  xStep: usize,
  step: usize,
): void {
  const dw1 = dw + step;
  const dw2 = dw1 + step;
  const dw3 = dw2 + step;
  let a0 = v128.load(dw);
  let b0 = v128.load(dw, 16);
  let a1 = v128.load(dw1);
  let b1 = v128.load(dw1, 16);
  let a2 = v128.load(dw2);
  let b2 = v128.load(dw2, 16);
  let a3 = v128.load(dw3);
  let b3 = v128.load(dw3, 16);
  for (let y = 0; y < rows; y++) {
    let from = x;
    for (let column = 0; column < columns; column++) {
      const left = v128.load(dy);
      const right = v128.load(dy, 16);
      const x0 = v128.load_splat<f32>(from);
      a0 = f32x4.add(a0, f32x4.mul(x0, left));
      b0 = f32x4.add(b0, f32x4.mul(x0, right));
      const x1 = v128.load_splat<f32>(from, 4);
      a1 = f32x4.add(a1, f32x4.mul(x1, left));
      b1 = f32x4.add(b1, f32x4.mul(x1, right));
      const x2 = v128.load_splat<f32>(from, 8);
      a2 = f32x4.add(a2, f32x4.mul(x2, left));
      b2 = f32x4.add(b2, f32x4.mul(x2, right));
      const x3 = v128.load_splat<f32>(from, 12);
      a3 = f32x4.add(a3, f32x4.mul(x3, left));
      b3 = f32x4.add(b3, f32x4.mul(x3, right));
      from += xStep;
      dy += step;
    }
    x += xRowStep;
  }
  v128.store(dw, a0);
  v128.store(dw, b0, 16);
  v128.store(dw1, a1);
  v128.store(dw1, b1, 16);
  v128.store(dw2, a2);
  v128.store(dw2, b2, 16);
  v128.store(dw3, a3);
  v128.store(dw3, b3, 16);
}
