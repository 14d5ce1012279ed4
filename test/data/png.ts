import { crc32, deflateSync } from 'node:zlib';

/** Colour types of PNG. */
const types = { grey: 0, rgb: 2, palette: 3, greyAlpha: 4, rgba: 6 } as const;

export interface PngOptions {
  width: number;
  height: number;
  type: keyof typeof types;
  depth?: 8 | 16;
  /** Row-major, channels last. */
  values: readonly number[];
  /** [r, g, b] of each colour. */
  palette?: readonly number[];
  /** The chunk tRNS: alpha of each palette colour, else the transparent colour. */
  transparent?: readonly number[];
  /** Number of frames in the chunk acTL of an animated PNG; only the first is written. */
  frames?: number;
}

/** Encodes a PNG file of any colour type. */
export function encodePng({
  width,
  height,
  type,
  depth = 8,
  values,
  palette,
  transparent,
  frames,
}: PngOptions): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([depth, types[type], 0, 0, 0], 8);
  const rowValues = values.length / height;
  const rows = Array.from({ length: height }, (_, y) =>
    Buffer.concat([Buffer.of(0), samples(values.slice(y * rowValues, (y + 1) * rowValues), depth)]),
  );
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header),
    ...(frames ? [chunk('acTL', Buffer.from(Uint32Array.of(frames, 0).buffer).swap32())] : []),
    ...(palette ? [chunk('PLTE', Buffer.from(palette))] : []),
    ...(transparent ? [chunk('tRNS', samples(transparent, type === 'palette' ? 8 : 16))] : []),
    chunk('IDAT', deflateSync(Buffer.concat(rows))),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function samples(values: readonly number[], depth: 8 | 16): Buffer {
  return Buffer.from(depth === 8 ? values : values.flatMap((value) => [value >> 8, value & 255]));
}

function chunk(name: string, data: Buffer): Buffer {
  const whole = Buffer.concat([Buffer.alloc(4), Buffer.from(name, 'latin1'), data, Buffer.alloc(4)]);
  whole.writeUInt32BE(data.length, 0);
  whole.writeUInt32BE(crc32(whole.subarray(4, -4)), whole.length - 4);
  return whole;
}
