/**
 * Gradient of max pooling of one image, NHWC: dy goes to the first largest value of its window. `dx` comes zeroed.
 */
export function addMaxPoolGradient(
  x: usize,
  dy: usize,
  dx: usize,
  height: i32,
  width: i32,
  channels: i32,
  outHeight: i32,
  outWidth: i32,
  windowHeight: i32,
  windowWidth: i32,
  strideHeight: i32,
  strideWidth: i32,
  dilationHeight: i32,
  dilationWidth: i32,
  top: i32,
  left: i32,
): void {
  for (let oy = 0; oy < outHeight; oy++) {
    for (let ox = 0; ox < outWidth; ox++) {
      for (let channel = 0; channel < channels; channel++) {
        let best = -1;
        let largest: f32 = -f32.MAX_VALUE;
        for (let i = 0; i < windowHeight; i++) {
          const y = oy * strideHeight - top + i * dilationHeight;
          if (y < 0 || y >= height) continue;
          for (let j = 0; j < windowWidth; j++) {
            const column = ox * strideWidth - left + j * dilationWidth;
            if (column < 0 || column >= width) continue;
            const at = (y * width + column) * channels + channel;
            const value = load<f32>(x + ((<usize>at) << 2));
            if (best < 0 || value > largest) {
              largest = value;
              best = at;
            }
          }
        }
        if (best >= 0) {
          const target = dx + ((<usize>best) << 2);
          store<f32>(target, load<f32>(target) + load<f32>(dy));
        }
        dy += 4;
      }
    }
  }
}
