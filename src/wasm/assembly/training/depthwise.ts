// Gradients of a depthwise convolution of one image, NHWC, filter [kh, kw, c, m], output channel c m + q.
//
//     dX[y, x, c] += dY[oy, ox, c, q] W[i, j, c, q]        dW[i, j, c, q] += dY[oy, ox, c, q] X[y, x, c]
//
// with y = oy s - top + i d and x = ox s - left + j d, inside the image.

/** Adds to dX (`gradient` 0: `other` is W, `target` dX) or to dW (1: `other` is X, `target` dW). */
export function addDepthwiseGradient(
  gradient: i32,
  dy: usize,
  other: usize,
  target: usize,
  height: i32,
  width: i32,
  channels: i32,
  multiplier: i32,
  outHeight: i32,
  outWidth: i32,
  kernelHeight: i32,
  kernelWidth: i32,
  strideHeight: i32,
  strideWidth: i32,
  dilationHeight: i32,
  dilationWidth: i32,
  top: i32,
  left: i32,
): void {
  const outChannels = channels * multiplier;
  for (let oy = 0; oy < outHeight; oy++) {
    for (let i = 0; i < kernelHeight; i++) {
      const y = oy * strideHeight - top + i * dilationHeight;
      if (y < 0 || y >= height) continue;
      for (let ox = 0; ox < outWidth; ox++) {
        const slope = dy + ((<usize>((oy * outWidth + ox) * outChannels)) << 2);
        for (let j = 0; j < kernelWidth; j++) {
          const x = ox * strideWidth - left + j * dilationWidth;
          if (x < 0 || x >= width) continue;
          const pixel = (<usize>((y * width + x) * channels)) << 2;
          const weight = (<usize>((i * kernelWidth + j) * outChannels)) << 2;
          if (gradient === 0) products(target + pixel, slope, other + weight, channels, multiplier, 0);
          else products(other + pixel, slope, target + weight, channels, multiplier, 1);
        }
      }
    }
  }
}

function products(
  pixel: usize,
  slope: usize,
  weight: usize,
  channels: i32,
  multiplier: i32,
  gradient: i32,
): void {
  let channel = 0;
  if (multiplier === 1) {
    for (; channel + 4 <= channels; channel += 4) {
      const step = v128.load(slope);
      if (gradient === 0) v128.store(pixel, f32x4.add(v128.load(pixel), f32x4.mul(step, v128.load(weight))));
      else v128.store(weight, f32x4.add(v128.load(weight), f32x4.mul(step, v128.load(pixel))));
      pixel += 16;
      slope += 16;
      weight += 16;
    }
  }
  for (; channel < channels; channel++) {
    for (let q = 0; q < multiplier; q++) {
      const step = load<f32>(slope);
      if (gradient === 0) store<f32>(pixel, load<f32>(pixel) + step * load<f32>(weight));
      else store<f32>(weight, load<f32>(weight) + step * load<f32>(pixel));
      slope += 4;
      weight += 4;
    }
    pixel += 4;
  }
}
