import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { afterAll, describe, expect, it } from 'vitest';
import type { PixelRules } from '../../src/config/schema.js';
import { decodeBytes, decodeImage } from '../../src/data/decode.js';
import { watchPeak } from '../peak-memory.js';
import { encodePng, type PngOptions } from './png.js';
import { standardRules } from './rules.js';

const fixture = (name: string) => fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url));
const expected = JSON.parse(readFileSync(fixture('expected.json'), 'utf8')) as Record<
  string,
  Record<string, unknown>
>;
const folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

interface How {
  size: number;
  channels?: 1 | 3;
  resize?: number;
  rules?: Partial<PixelRules>;
}

const decode = (bytes: Uint8Array, { rules, channels = 3, ...how }: How) =>
  decodeBytes({ file: 'image', bytes }, { ...how, channels, rules: { ...standardRules, ...rules } });

const mean = (values: Uint8Array) => values.reduce((sum, value) => sum + value, 0) / values.length;

const furthest = (a: Uint8Array, b: Uint8Array) => {
  expect(a).toHaveLength(b.length);
  return a.reduce((most, value, at) => Math.max(most, Math.abs(value - b[at])), 0);
};

describe('transparency', () => {
  it.each([32, 64, 96])('of a black disc on %i pixels becomes white', async (side) => {
    const name = `disc-alpha-${side}.png`;
    const pixels = await decode(readFileSync(fixture(name)), { size: 32 });
    expect(
      Math.abs(mean(pixels) - (expected[name]['flattened on white, 32x32: mean'] as number)),
    ).toBeLessThan(0.5);
    expect([pixels[0], pixels[3 * (16 * 32 + 16)]]).toEqual([expected[name].corner, expected[name].centre]);
  });

  it('becomes the background of the recipe', async () => {
    const disc = readFileSync(fixture('disc-alpha-96.png'));
    const pixels = await decode(disc, { size: 32, rules: { background: '#2040c0' } });
    expect([...pixels.subarray(0, 3)]).toEqual([0x20, 0x40, 0xc0]);
  });

  const red = [255, 0, 0];
  const blue = [0, 0, 255];
  const white = [255, 255, 255];
  const grey = [100, 100, 100];
  /** A PNG of 16 x 16 pixels: the left half in one colour, the right half in the other. */
  const halves = (left: number[], right: number[], how: Omit<PngOptions, 'width' | 'height' | 'values'>) => {
    const row = [left, right].flatMap((colour) => new Array<number[]>(8).fill(colour).flat());
    return encodePng({ width: 16, height: 16, values: new Array<number[]>(16).fill(row).flat(), ...how });
  };
  const wide = (values: number[]) => values.map((value) => 257 * value);
  const files: [what: string, file: Buffer, left: number[], right: number[]][] = [
    ['RGBA', halves([...red, 0], [...blue, 255], { type: 'rgba' }), white, blue],
    ['half of RGBA', halves([...red, 51], [...blue, 255], { type: 'rgba' }), [255, 204, 204], blue],
    ['a colour of RGB', halves(red, blue, { type: 'rgb', transparent: red }), white, blue],
    [
      'a colour of 16-bit RGB',
      halves(wide(red), wide(blue), { type: 'rgb', depth: 16, transparent: wide(red) }),
      white,
      blue,
    ],
    ['a grey level', halves([7], grey.slice(2), { type: 'grey', transparent: [7] }), white, grey],
    [
      'a palette',
      halves([0], [1], { type: 'palette', palette: [...red, ...blue], transparent: [0, 255] }),
      white,
      blue,
    ],
    ['grey and alpha', halves([7, 0], [100, 255], { type: 'greyAlpha' }), white, grey],
    [
      '16-bit grey and alpha',
      halves(wide([7, 0]), wide([100, 255]), { type: 'greyAlpha', depth: 16 }),
      white,
      grey,
    ],
    [
      '16-bit RGBA',
      halves(wide([...red, 0]), wide([...blue, 255]), { type: 'rgba', depth: 16 }),
      white,
      blue,
    ],
  ];

  it.each(files)(
    'in %s becomes white at the original size, enlarged and reduced',
    async (_what, file, left, right) => {
      const luma = ([r, g, b]: number[]) => [Math.round(0.299 * r + 0.587 * g + 0.114 * b)];
      for (const size of [16, 32, 8]) {
        for (const channels of [1, 3] as const) {
          const pixels = await decode(file, { size, channels });
          const at = (x: number) =>
            pixels.subarray((size * (size >> 1) + x) * channels).subarray(0, channels);
          const wanted = channels === 1 ? [luma(left), luma(right)] : [left, right];
          const off = [at(1), at(size - 2)].map((found, half) =>
            furthest(found, Uint8Array.from(wanted[half])),
          );
          expect(Math.max(...off)).toBeLessThanOrEqual(size === 16 ? 0 : 2);
        }
      }
    },
  );

  it('in a WebP becomes white for small and large images', async () => {
    for (const side of [16, 160]) {
      const clear = sharp({ create: { width: side, height: side, channels: 4, background: '#ff000000' } });
      expect(mean(await decode(await clear.webp({ lossless: true }).toBuffer(), { size: 8 }))).toBe(255);
    }
  });
});

describe('EXIF orientation', () => {
  const upright = () => decode(readFileSync(fixture('f-upright.png')), { size: 24 });

  it.each([1, 2, 3, 4, 5, 6, 7, 8])(
    '%i is applied when the image is stretched, centre-cropped and cropped',
    async (orientation) => {
      const file = readFileSync(fixture(`f-orientation-${orientation}.jpg`));
      expect(furthest(await decode(file, { size: 24 }), await upright())).toBeLessThan(12);
      const centred = await decode(readFileSync(fixture('f-upright.png')), { size: 16, resize: 20 });
      expect(furthest(await decode(file, { size: 16, resize: 20 }), centred)).toBeLessThan(12);
      const region = { left: 2, top: 3, width: 20, height: 17 };
      const seen: number[][] = [];
      const cropped = (bytes: Buffer) =>
        decodeBytes(
          { file: 'image', bytes },
          { size: 10, channels: 3, rules: standardRules, crop: (...of) => (seen.push(of), region) },
        );
      const crop = await cropped(file);
      expect(furthest(crop, await cropped(readFileSync(fixture('f-upright.png'))))).toBeLessThan(12);
      expect(seen).toEqual([
        [48, 32],
        [48, 32],
      ]);
    },
  );

  it('is ignored with orientation: ignore', async () => {
    const turned = readFileSync(fixture('f-orientation-3.jpg'));
    const pixels = await decode(turned, { size: 24, rules: { orientation: 'ignore' } });
    expect(furthest(pixels, await upright())).toBeGreaterThan(200);
  });
});

describe('grey levels', () => {
  const levels = expected['patches.png']['grey (Rec. 601) of each 8x8 patch'] as number[];

  it("are Rec. 601 luma, as Pillow's mode L", async () => {
    const whole = readFileSync(fixture('patches.png'));
    for (const [patch, level] of levels.entries()) {
      const one = await sharp(whole)
        .extract({ left: 8 * patch, top: 0, width: 8, height: 8 })
        .png()
        .toBuffer();
      expect(new Set(await decode(one, { size: 8, channels: 1 }))).toEqual(new Set([level]));
    }
  });

  it('of grey PNGs of 8 and 16 bits and of a grey JPEG are the stored ones', async () => {
    const values = [0, 50, 200, 255];
    const square = { width: 2, height: 2, type: 'grey' } as const;
    for (const file of [
      encodePng({ ...square, values }),
      encodePng({ ...square, depth: 16, values: values.map((value) => 257 * value) }),
    ]) {
      expect([...(await decode(file, { size: 2, channels: 1 }))]).toEqual(values);
      expect([...(await decode(file, { size: 2 }))]).toEqual(
        values.flatMap((value) => [value, value, value]),
      );
    }
    const plain = sharp({ create: { width: 8, height: 8, channels: 3, background: '#7b7b7b' } });
    const jpeg = await plain.toColourspace('b-w').jpeg().toBuffer();
    expect((await sharp(jpeg).metadata()).channels).toBe(1);
    expect(new Set(await decode(jpeg, { size: 8, channels: 1 }))).toEqual(new Set([0x7b]));
  });

  it('are the lightness of linear light with grey: lightness, the rule of earlier checkpoints', async () => {
    const red = encodePng({ width: 1, height: 1, type: 'rgb', values: [255, 0, 0] });
    expect([...(await decode(red, { size: 1, channels: 1, rules: { grey: 'lightness' } }))]).toEqual([127]);
  });
});

describe('colour profiles', () => {
  it('are applied: a colour in Display P3 becomes the same colour in sRGB', async () => {
    const create = { width: 8, height: 8, channels: 3, background: { r: 200, g: 100, b: 50 } } as const;
    const wide = await sharp({ create }).withIccProfile('p3').png().toBuffer();
    const [stored] = await sharp(wide, { ignoreIcc: true }).raw().toBuffer();
    expect(stored).not.toBe(200);
    const [r, g, b] = await decode(wide, { size: 4 });
    expect(Math.max(Math.abs(r - 200), Math.abs(g - 100), Math.abs(b - 50))).toBeLessThanOrEqual(2);
  });

  it('of CMYK are applied: no ink is white, cyan ink is blue-green', async () => {
    for (const [background, check] of [
      ['#ffffff', ([r, g, b]: Uint8Array) => Math.min(r, g, b) >= 253],
      ['#00a0e0', ([r, g, b]: Uint8Array) => r < 60 && g > 120 && b > 180],
    ] as const) {
      const create = { width: 16, height: 16, channels: 3, background } as const;
      const file = await sharp({ create }).toColourspace('cmyk').jpeg({ quality: 100 }).toBuffer();
      expect((await sharp(file).metadata()).space).toBe('cmyk');
      expect(check(await decode(file, { size: 8 }))).toBe(true);
    }
  });
});

describe('resizing', () => {
  it('reads every line of a large JPEG, unless shrinkOnLoad is true', async () => {
    const noise = Uint8Array.from({ length: 256 * 256 * 3 }, (_, at) => (at * 2654435761) >>> 24);
    const raw = { width: 256, height: 256, channels: 3 } as const;
    const file = await sharp(noise, { raw }).jpeg({ quality: 95 }).toBuffer();
    const whole = await sharp(file).raw().toBuffer();
    const wanted = await sharp(whole, { raw }).resize(16, 16, { fit: 'fill' }).raw().toBuffer();
    expect(furthest(await decode(file, { size: 16 }), wanted)).toBe(0);
    expect(furthest(await decode(file, { size: 16, rules: { shrinkOnLoad: true } }), wanted)).toBeGreaterThan(
      0,
    );
  });
});

describe('decodeBytes rejects', () => {
  const refused = (file: Promise<unknown>, reason: string) =>
    expect(file).rejects.toMatchObject({
      code: 'IMAGE_INVALID',
      message: `image is no image that can be read (${reason}): replace or remove it`,
    });

  it('an image with more pixels than the limit, before it is decoded', async () => {
    const bomb = await sharp({ create: { width: 1100, height: 1000, channels: 3, background: '#fff' } })
      .png()
      .toBuffer();
    await refused(
      decode(bomb, { size: 8, rules: { maxMegapixels: 1 } }),
      'it has more than 1 megapixels, see data.maxMegapixels',
    );
    expect(await decode(bomb, { size: 8, rules: { maxMegapixels: 2 } })).toHaveLength(192);
  });

  it('an image that claims a side of more than 32,767 pixels, in little memory', async () => {
    const line = encodePng({ width: 40, height: 1, type: 'rgba', depth: 16, values: Array(160).fill(7) });
    line.writeUInt32BE(4_325_385, 16);
    line.writeUInt32BE(12, 20);
    const grownMegabytes = watchPeak();
    const reason = 'it has 4325385 pixels a side, 32767 are the most';
    await refused(decode(line, { size: 8 }), reason);
    const moving = Buffer.from('RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0\0\0\0\0\0\0', 'latin1');
    moving.writeUIntLE(4_325_384, 27, 3);
    await refused(decode(moving, { size: 8 }), reason);
    expect(grownMegabytes()).toBeLessThan(100);
  });

  it.each([
    [
      'a GIF',
      Buffer.from(
        'GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;',
        'latin1',
      ),
    ],
    [
      'SVG or other text in tags',
      Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>'),
    ],
    ['a TIFF', Buffer.from('II*\0\x08\0\0\0', 'latin1')],
    ['a PDF', Buffer.from('%PDF-1.4\n')],
    ['HEIF or AVIF', Buffer.from('\0\0\0\x1cftypavif\0\0\0\0', 'latin1')],
    ['something else', Buffer.from('this is no image')],
  ])('%s, whatever the name of the file', async (what, bytes) => {
    await refused(decode(bytes, { size: 8 }), `it is ${what}, not JPEG, PNG or WebP`);
    const file = join(folder, 'named.png');
    writeFileSync(file, bytes);
    await expect(decodeImage(file, { size: 8, channels: 3, rules: standardRules })).rejects.toThrow(what);
  });

  it.each(['truncated.jpg', 'png', 'webp'])('an image that ends early: %s', async (what) => {
    const noise = Uint8Array.from({ length: 64 * 64 * 3 }, (_, at) => (at * 2654435761) >>> 24);
    const image = sharp(noise, { raw: { width: 64, height: 64, channels: 3 } });
    const whole = what === 'png' || what === 'webp' ? await image[what]().toBuffer() : undefined;
    const cut = whole ? whole.subarray(0, whole.length * 0.6) : readFileSync(fixture(what));
    await refused(decode(cut, { size: 64 }), 'it ends early');
  });
});
