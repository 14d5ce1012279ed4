import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import sharp from 'sharp';

/** Writes an image of one colour; the file's ending chooses the format. */
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

/** The grey level of the image `index` of a split that `writeFolder` writes. */
export const levelOf = (split: 'train' | 'test', index: number): number =>
  (split === 'train' ? 10 : 130) + 5 * index;

/** A folder of small grey images, alternately .png and .jpg, whose levels tell them apart. */
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
