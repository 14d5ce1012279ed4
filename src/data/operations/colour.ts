import { blend, greyOf, type Canvas } from './canvas.js';

const { fround } = Math;

/** `factor` of the image and the rest of its grey; a grey image stays as it is. */
export function saturation({ pixels, channels }: Canvas, factor: number): void {
  if (channels === 1) return;
  const [own, other] = [fround(factor), fround(1 - factor)];
  for (let at = 0; at < pixels.length; at += 3) {
    const [red, green, blue] = [pixels[at], pixels[at + 1], pixels[at + 2]];
    const grey = greyOf(red, green, blue);
    pixels[at] = blend(red, grey, own, other);
    pixels[at + 1] = blend(green, grey, own, other);
    pixels[at + 2] = blend(blue, grey, own, other);
  }
}

const levels = Float32Array.from({ length: 256 }, (_, level) => level * fround(1 / 255));

/**
 * Turns the hue by `turns` of a whole turn, -0.5 to 0.5, in the float32 arithmetic of torchvision; a grey image stays as it
 * is.
 *
 *     value v    the largest of red, green and blue;  saturation s = (v - smallest) / v
 *     hue h      0 for red, 1/3 for green, 2/3 for blue, and between them by the other two
 *     back       with f what is left of 6 h after whole sixths:  p = v (1 - s),  q = v (1 - s f),  t = v (1 - s + s f)
 */
export function hue({ pixels, channels }: Canvas, turns: number): void {
  if (channels === 1) return;
  const turn = fround(turns);
  const sixth = fround(1 / 6);
  for (let at = 0; at < pixels.length; at += 3) {
    const red = levels[pixels[at]];
    const green = levels[pixels[at + 1]];
    const blue = levels[pixels[at + 2]];
    const most = Math.max(red, green, blue);
    const least = Math.min(red, green, blue);
    const range = fround(most - least);
    if (range === 0) continue;
    const toRed = fround(fround(most - red) / range);
    const toGreen = fround(fround(most - green) / range);
    const toBlue = fround(fround(most - blue) / range);
    const sixths =
      most === red
        ? fround(toBlue - toGreen)
        : most === green
          ? fround(fround(toRed + 2) - toBlue)
          : fround(fround(toGreen + 4) - toRed);
    const before = fround(fround(sixths * sixth) + 1) % 1;
    const after = fround(before + turn);
    const h6 = fround(fround(after - Math.floor(after)) * 6);
    const whole = Math.floor(h6);
    const f = fround(h6 - whole);

    const s = fround(range / most);
    const sf = fround(s * f);
    const rest = fround(1 - s);
    const v = toLevel(most);
    const p = toLevel(fround(rest * most));
    const q = toLevel(fround(fround(1 - sf) * most));
    const t = toLevel(fround(fround(sf + rest) * most));
    const sector = whole % 6;
    pixels[at] = sector === 0 || sector === 5 ? v : sector === 1 ? q : sector === 4 ? t : p;
    pixels[at + 1] = sector === 1 || sector === 2 ? v : sector === 0 ? t : sector === 3 ? q : p;
    pixels[at + 2] = sector === 3 || sector === 4 ? v : sector === 2 ? t : sector === 5 ? q : p;
  }
}

const toUpper = fround(255.999);

function toLevel(value: number): number {
  return fround(Math.min(Math.max(value, 0), 1) * toUpper) | 0;
}
