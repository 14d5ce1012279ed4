import { blend, type Canvas } from './canvas.js';

const { fround } = Math;

/**
 * `factor` of the image and the rest of a smoothed one: of each pixel 5/13 and of its eight neighbours 1/13 each, rounded.
 * Pixels of the border stay as they are.
 */
export function sharpness(canvas: Canvas, factor: number): void {
  const { height, width, channels } = canvas;
  if (height <= 2 || width <= 2) return;
  const other = fround(1 - factor);
  const row = width * channels;
  canvas.redraw((from, to) => {
    to.set(from);
    for (let y = 1; y < height - 1; y++) {
      const end = (y + 1) * row - channels;
      for (let at = y * row + channels; at < end; at++) {
        const [above, below] = [at - row, at + row];
        const around =
          from[above - channels] +
          from[above] +
          from[above + channels] +
          from[at - channels] +
          from[at + channels] +
          from[below - channels] +
          from[below] +
          from[below + channels];
        const smooth = ((around + 5 * from[at]) / 13 + 0.5) | 0;
        to[at] = blend(from[at], smooth - from[at], 1, other);
      }
    }
  });
}

/** Where the pixel (x, y) of the result comes from, both counted from the centre: a x + b y + c, d x + e y + f. */
export type Affine = readonly [a: number, b: number, c: number, d: number, e: number, f: number];

/** Pixels moved by `matrix` from the nearest pixel of the image, black where there is none. */
export function move(canvas: Canvas, [a, b, c, d, e, f]: Affine): void {
  const { height, width, channels } = canvas;
  const [middleX, middleY] = [(width - 1) / 2, (height - 1) / 2];
  canvas.redraw((from, to) => {
    let next = 0;
    for (let row = 0; row < height; row++) {
      const y = row - middleY;
      for (let column = 0; column < width; column++, next += channels) {
        const x = column - middleX;
        const sourceX = Math.floor(a * x + b * y + c + middleX + 0.5);
        const sourceY = Math.floor(d * x + e * y + f + middleY + 0.5);
        const inside = sourceX >= 0 && sourceX < width && sourceY >= 0 && sourceY < height;
        const source = (sourceY * width + sourceX) * channels;
        for (let channel = 0; channel < channels; channel++)
          to[next + channel] = inside ? from[source + channel] : 0;
      }
    }
  });
}

/** The image shifted to the right and down by whole pixels. */
export function translation(x: number, y: number): Affine {
  return [1, 0, -x, 0, 1, -y];
}

/** The image turned about its centre, against the clock. */
export function rotation(degrees: number): Affine {
  const angle = (degrees * Math.PI) / 180;
  const [cosine, sine] = [Math.cos(angle), Math.sin(angle)];
  return [cosine, -sine, 0, sine, cosine, 0];
}

/** Rows shifted by `x` times their distance from the upper edge, columns by `y` times theirs from the left one. */
export function shear(x: number, y: number, { height, width }: { height: number; width: number }): Affine {
  return [1, x, (x * height) / 2, y, 1, (y * width) / 2];
}
