import { mkdtempSync, readFileSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DiskCache, recordBytes, stampOf, type Pack } from '../../../src/data/pixels/disk-cache.js';

const imageBytes = 100;
const image = (level: number) => new Uint8Array(imageBytes).fill(level);

describe('DiskCache', () => {
  let folder: string;
  let pack: Pack;
  let source: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
    pack = { file: join(folder, 'pixels'), slots: 5, imageBytes, writable: true };
    source = join(folder, 'image.jpg');
    writeFileSync(source, 'one');
    writeFileSync(pack.file, '');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('returns written images, also to another cache of the same file', () => {
    const stamp = stampOf(source);
    const cache = new DiskCache(pack);
    expect(cache.read(0, stamp)).toBeUndefined();
    cache.write(3, stamp, image(7));
    cache.write(0, stamp, image(0));
    const other = new DiskCache(pack);
    expect([...(other.read(3, stamp) as Uint8Array)]).toEqual([...image(7)]);
    expect([...(other.read(0, stamp) as Uint8Array)]).toEqual([...image(0)]);
    for (const missing of [1, 2, 4]) expect(other.read(missing, stamp)).toBeUndefined();
  });

  it('ignores images beyond its slots', () => {
    const cache = new DiskCache(pack);
    cache.write(5, stampOf(source), image(1));
    expect(cache.read(5, stampOf(source))).toBeUndefined();
    expect(readFileSync(pack.file)).toHaveLength(0);
  });

  it('misses a changed image file, even one with its old size and modification time', () => {
    const cache = new DiskCache(pack);
    const past = new Date(1e12);
    utimesSync(source, past, past);
    const stamp = stampOf(source);
    cache.write(1, stamp, image(1));
    expect(cache.read(1, stampOf(source))).toBeDefined();
    writeFileSync(source, 'two');
    utimesSync(source, past, past);
    const changed = stampOf(source);
    expect(changed.subarray(0, 16)).toEqual(stamp.subarray(0, 16));
    expect(cache.read(1, changed)).toBeUndefined();
    cache.write(1, changed, image(2));
    expect(cache.read(1, changed)?.[0]).toBe(2);
  });

  it('misses a record with a changed byte, and a truncated record', () => {
    const cache = new DiskCache(pack);
    const stamp = stampOf(source);
    cache.write(2, stamp, image(9));
    const whole = readFileSync(pack.file);
    const start = 2 * recordBytes(imageBytes);
    for (let at = start; at < whole.length; at += 3) {
      const broken = Buffer.from(whole);
      broken[at] ^= 0x10;
      writeFileSync(pack.file, broken);
      expect(cache.read(2, stamp), `byte ${at - start}`).toBeUndefined();
    }
    writeFileSync(pack.file, whole);
    expect(cache.read(2, stamp)).toBeDefined();
    truncateSync(pack.file, whole.length - 1);
    expect(cache.read(2, stamp)).toBeUndefined();
  });

  it('writes nothing if it is not writable', () => {
    new DiskCache(pack).write(0, stampOf(source), image(1));
    const reader = new DiskCache({ ...pack, writable: false });
    reader.write(1, stampOf(source), image(2));
    expect(reader.read(0, stampOf(source))?.[0]).toBe(1);
    expect(reader.read(1, stampOf(source))).toBeUndefined();
  });
});
