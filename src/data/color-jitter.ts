import { permutation, type RandomStream } from '../util/random.js';
import type { ColorJitterSettings } from './augment-schema.js';
import type { Canvas } from './operations/canvas.js';
import { hue, saturation } from './operations/colour.js';
import { brightness, contrast } from './operations/levels.js';

const aspects = [
  ['brightness', brightness],
  ['contrast', contrast],
  ['saturation', saturation],
  ['hue', hue],
] as const;

/** Whether it changes anything. */
export function jitters(settings: ColorJitterSettings): boolean {
  return aspects.some(([name]) => settings[name] > 0);
}

/** Brightness, contrast, saturation and hue, each by a random amount, in a random order: torchvision's `v2.ColorJitter`. */
export function colorJitter(canvas: Canvas, settings: ColorJitterSettings, random: RandomStream): void {
  const order = permutation(aspects.length, random);
  const amounts = aspects.map(([name]) => {
    const most = settings[name];
    const centre = name === 'hue' ? 0 : 1;
    const least = name === 'hue' ? -most : Math.max(0, 1 - most);
    return least + (centre + most - least) * random.uniform();
  });
  for (const index of order) {
    const [name, change] = aspects[index];
    if (settings[name] > 0) change(canvas, amounts[index]);
  }
}
