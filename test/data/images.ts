import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import sharp from 'sharp';

/** Writes an image of one colour, in the format of the file's ending. */
export async function writeImage(
  file: string,
  colour: readonly [number, number, number],
  [width, height] = [8, 8],
): Promise<void> {
  mkdirSync(dirname(file), { recursive: true });
  const [r, g, b] = colour;
  const image = sharp({ create: { width, height, channels: 3, background: { r, g, b } } });
  await (
    file.endsWith('.png') ? image.png() : image.jpeg({ quality: 100, chromaSubsampling: '4:4:4' })
  ).toFile(file);
}

/** Grey level of the image `index` of a split written by `writeFolder`. */
export const levelOf = (split: 'train' | 'test', index: number): number =>
  (split === 'train' ? 10 : 130) + 5 * index;

/** Writes a folder of small grey images of different levels, alternately .png and .jpg. */
export async function writeFolder(root: string, classes: readonly string[], perClass: number): Promise<void> {
  for (const split of ['train', 'test'] as const) {
    let index = 0;
    for (const name of classes) {
      for (let image = 0; image < perClass; image++) {
        const level = levelOf(split, index++);
        const ending = image % 2 === 0 ? 'png' : 'jpg';
        await writeImage(join(root, split, name, `${image}.${ending}`), [level, level, level]);
      }
    }
  }
}
