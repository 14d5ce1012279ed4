import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeImage } from '../../src/data/decode.js';
import { writeImage } from './images.js';
import { standardRules as rules } from './rules.js';

let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'))));
afterAll(() => rmSync(folder, { recursive: true }));

/** An image of 2 x 2 pixels, row by row. */
function raw(values: readonly number[], channels: 1 | 2 | 3 | 4): Sharp {
  return sharp(Uint8Array.from(values), { raw: { width: 2, height: 2, channels } });
}

async function png(image: Sharp): Promise<string> {
  const file = join(folder, 'image.png');
  await image.png().toFile(file);
  return file;
}

const rgb = [255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30];

describe('decodeImage', () => {
  it('gives the stored pixels of a PNG, row by row', async () => {
    expect([...(await decodeImage(await png(raw(rgb, 3)), { size: 2, channels: 3, rules }))]).toEqual(rgb);
  });

  it.each([1, 3] as const)('reads channels of 16 bits as 8 bits, for %i channels', async (channels) => {
    const levels = [0, 50, 200, 255];
    const wide = Uint16Array.from(levels.flatMap((level) => new Array<number>(3).fill(level * 257)));
    const image = sharp(wide, { raw: { width: 2, height: 2, channels: 3 } }).toColourspace('rgb16');
    const file = await png(image);
    expect((await sharp(file).metadata()).depth).toBe('ushort');
    const pixels = await decodeImage(file, { size: 2, channels, rules });
    expect([...pixels]).toEqual(levels.flatMap((level) => new Array<number>(channels).fill(level)));
  });

  it('reads a lossless WebP exactly', async () => {
    const noise = Uint8Array.from({ length: 16 * 16 * 3 }, (_, at) => (at * 2654435761) >>> 24);
    const file = join(folder, 'image.webp');
    const image = sharp(noise, { raw: { width: 16, height: 16, channels: 3 } });
    await image.webp({ lossless: true }).toFile(file);
    expect([...(await decodeImage(file, { size: 16, channels: 3, rules }))]).toEqual([...noise]);
  });

  it('reads a JPEG to within its loss of 3 levels', async () => {
    const file = join(folder, 'image.jpg');
    await writeImage(file, [200, 100, 50], [16, 16]);
    const pixels = await decodeImage(file, { size: 16, channels: 3, rules });
    pixels.forEach((value, at) => expect(Math.abs(value - [200, 100, 50][at % 3])).toBeLessThanOrEqual(3));
  });

  it('stretches images to the given size', async () => {
    const file = join(folder, 'wide.png');
    await writeImage(file, [7, 8, 9], [31, 3]);
    const pixels = await decodeImage(file, { size: 4, channels: 3, rules });
    expect(pixels).toHaveLength(48);
    expect([...pixels.subarray(0, 3)]).toEqual([7, 8, 9]);
  });

  it.each([
    ['text.jpg', Buffer.from('this is no image')],
    ['empty.png', Buffer.alloc(0)],
  ])('rejects %s, which is no image, with its path', async (name, bytes) => {
    const file = join(folder, name);
    writeFileSync(file, bytes);
    const error = await decodeImage(file, { size: 4, channels: 3, rules }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name: 'UserError', code: 'IMAGE_INVALID' });
    expect((error as Error).message).toMatch(
      new RegExp(`^${file} is no image that can be read \\([^\\n]*\\): `),
    );
  });

  it.each(['png', 'jpeg', 'webp'] as const)('rejects a truncated %s with its path', async (ending) => {
    const noise = Uint8Array.from({ length: 64 * 64 * 3 }, (_, at) => (at * 2654435761) >>> 24);
    const image = sharp(noise, { raw: { width: 64, height: 64, channels: 3 } });
    const whole = await image[ending]().toBuffer();
    const file = join(folder, `cut.${ending}`);
    writeFileSync(file, whole.subarray(0, whole.length / 2));
    await expect(decodeImage(file, { size: 64, channels: 3, rules })).rejects.toThrow(file);
  });

  it('rejects a missing file', async () => {
    await expect(
      decodeImage(join(folder, 'gone.png'), { size: 4, channels: 3, rules }),
    ).rejects.toMatchObject({
      code: 'IMAGE_INVALID',
    });
  });
});
