// Gradient of a convolution with respect to its input, of one image at a time, NHWC.
//
//     dX[y s + i d, x s + j d, c] += sum over o of dY[y, x, o] W[i, j, c, o]        (dX with its border)
//
// As for the filter's gradient (j, c) is one index r, along which dX lies side by side. Eight neighbouring r of four
// neighbouring pixels are summed over o in eight registers and then added to dX one pixel after another, since
// windows overlap. W comes packed in panels [i, r / 8, o, 8], padded with zeros, which add nothing to the neighbours.

/** Adds one image's dX. Strides in bytes; `panels` of eight r each in every segment. */
export function addInputGradient(
  dx: usize,
  dy: usize,
  packed: usize,
  kernelHeight: i32,
  segments: i32,
  segmentStep: usize,
  panels: i32,
  outChannels: i32,
  outHeight: i32,
  outWidth: i32,
  xRow: usize,
  xRowStep: usize,
  xStep: usize,
  group: i32,
): void {
  const dyStep = (<usize>outChannels) << 2;
  const dyRow = <usize>outWidth * dyStep;
  const panelBytes = (<usize>outChannels) << 5;
  for (let first = 0; first < outHeight; first += group) {
    const rows = min(group, outHeight - first);
    let panel = packed;
    for (let i = 0; i < kernelHeight; i++) {
      for (let segment = 0; segment < segments; segment++) {
        for (let p = 0; p < panels; p++) {
          let from = dy + <usize>first * dyRow;
          let to =
            dx + <usize>first * xRowStep + <usize>i * xRow + <usize>segment * segmentStep + ((<usize>p) << 5);
          for (let y = 0; y < rows; y++) {
            let pixel = from;
            let target = to;
            let x = 0;
            for (; x + 4 <= outWidth; x += 4) {
              four(target, pixel, panel, outChannels, dyStep, xStep);
              pixel += dyStep << 2;
              target += xStep << 2;
            }
            for (; x < outWidth; x++) {
              one(target, pixel, panel, outChannels);
              pixel += dyStep;
              target += xStep;
            }
            from += dyRow;
            to += xRowStep;
          }
          panel += panelBytes;
        }
      }
    }
  }
}

function four(dx: usize, dy: usize, panel: usize, outChannels: i32, dyStep: usize, xStep: usize): void {
  let a0 = f32x4.splat(0);
  let b0 = a0;
  let a1 = a0;
  let b1 = a0;
  let a2 = a0;
  let b2 = a0;
  let a3 = a0;
  let b3 = a0;
  const dy1 = dy + dyStep;
  const dy2 = dy1 + dyStep;
  const dy3 = dy2 + dyStep;
  const bytes = (<usize>outChannels) << 2;
  for (let at: usize = 0; at < bytes; at += 4) {
    const left = v128.load(panel);
    const right = v128.load(panel, 16);
    const d0 = v128.load_splat<f32>(dy + at);
    a0 = f32x4.add(a0, f32x4.mul(d0, left));
    b0 = f32x4.add(b0, f32x4.mul(d0, right));
    const d1 = v128.load_splat<f32>(dy1 + at);
    a1 = f32x4.add(a1, f32x4.mul(d1, left));
    b1 = f32x4.add(b1, f32x4.mul(d1, right));
    const d2 = v128.load_splat<f32>(dy2 + at);
    a2 = f32x4.add(a2, f32x4.mul(d2, left));
    b2 = f32x4.add(b2, f32x4.mul(d2, right));
    const d3 = v128.load_splat<f32>(dy3 + at);
    a3 = f32x4.add(a3, f32x4.mul(d3, left));
    b3 = f32x4.add(b3, f32x4.mul(d3, right));
    panel += 32;
  }
  addTo(dx, a0, b0);
  dx += xStep;
  addTo(dx, a1, b1);
  dx += xStep;
  addTo(dx, a2, b2);
  dx += xStep;
  addTo(dx, a3, b3);
}

function one(dx: usize, dy: usize, panel: usize, outChannels: i32): void {
  let a = f32x4.splat(0);
  let b = a;
  const end = dy + ((<usize>outChannels) << 2);
  for (; dy < end; dy += 4) {
    const d = v128.load_splat<f32>(dy);
    a = f32x4.add(a, f32x4.mul(d, v128.load(panel)));
    b = f32x4.add(b, f32x4.mul(d, v128.load(panel, 16)));
    panel += 32;
  }
  addTo(dx, a, b);
}

function addTo(target: usize, a: v128, b: v128): void {
  v128.store(target, f32x4.add(v128.load(target), a));
  v128.store(target, f32x4.add(v128.load(target, 16), b), 16);
}

/**
 * Packs a filter [kh, kw, c, o] into panels [kh, segments, panels, o, 8]: element r of a segment goes to panel r / 8.
 * `width` is the number of r in a segment.
 */
export function packFilter(
  filter: usize,
  packed: usize,
  kernelSegments: i32,
  width: i32,
  panels: i32,
  outChannels: i32,
): void {
  for (let segment = 0; segment < kernelSegments; segment++) {
    for (let panel = 0; panel < panels; panel++) {
      for (let o = 0; o < outChannels; o++) {
        for (let lane = 0; lane < 8; lane++) {
          const r = (panel << 3) + lane;
          const value = r < width ? load<f32>(filter + ((<usize>(r * outChannels + o)) << 2)) : <f32>0;
          store<f32>(packed, value);
          packed += 4;
        }
      }
    }
    filter += (<usize>(width * outChannels)) << 2;
  }
}
