import {
  existsSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DiskCache, stampOf } from '../../../src/data/pixels/disk-cache.js';
import {
  clearPacks,
  listPacks,
  openPack,
  type PackOptions,
  type PackRequest,
} from '../../../src/data/pixels/pack-folder.js';
import { standardRules } from '../rules.js';
import { needs } from '../../needs.js';

describe('openPack', () => {
  let base: string;
  let folder: string;
  const notices: string[] = [];
  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
    folder = join(base, 'pixels');
    notices.length = 0;
  });
  afterEach(() => rmSync(base, { recursive: true }));

  const request = (changes: Partial<PackRequest> = {}): PackRequest => {
    const files = ['a/1.png', 'a/2.png', 'b/1.png'].map((name) => join(base, name));
    return { root: base, files, size: 64, channels: 3, rules: standardRules, decoder: 'sharp 1', ...changes };
  };
  const open = (changes: Partial<PackRequest> = {}, options: Partial<PackOptions> = {}) =>
    openPack(request(changes), {
      folder,
      limit: 1e9,
      notify: (line) => void notices.push(line),
      spareBytes: 0,
      ...options,
    });

  async function fill(changes: Partial<PackRequest>): Promise<string> {
    const pack = await open(changes);
    if (!pack) throw new Error('there is no pack');
    const cache = new DiskCache(pack);
    for (let image = 0; image < pack.slots; image++) {
      cache.write(image, stampOf(base), new Uint8Array(pack.imageBytes).fill(image));
    }
    return pack.file;
  }

  it('returns the same file for equal images and pixel rules, and another file otherwise', async () => {
    const first = await open();
    expect(first).toMatchObject({ slots: 3, imageBytes: 12_288, writable: true });
    expect(await open()).toEqual(first);
    const others: Partial<PackRequest>[] = [
      { rules: { ...standardRules, grey: 'lightness' } },
      { rules: { ...standardRules, orientation: 'ignore' } },
      { rules: { ...standardRules, background: '#000000' } },
      { rules: { ...standardRules, shrinkOnLoad: true } },
      { size: 32 },
      { channels: 1 },
      { resize: 80 },
      { decoder: 'sharp 2' },
      { files: request().files.slice(1) },
      { files: request().files.toReversed() },
      { root: tmpdir() },
    ];
    const found = new Set([first?.file]);
    for (const other of others) found.add((await open(other))?.file);
    expect(found.size).toBe(others.length + 1);
    expect(notices).toEqual([]);
  });

  it('listPacks lists packs, the last used first, and clearPacks deletes only packs', async () => {
    const older = await fill({ size: 16 });
    utimesSync(older.replace(/pixels$/, 'json'), new Date(1e12), new Date(1e12));
    await fill({ size: 64 });
    writeFileSync(join(folder, 'mine.txt'), '');
    const [newest, oldest] = await listPacks(folder);
    expect(newest.description).toMatchObject({ root: base, images: 3, size: 64, channels: 3 });
    expect(oldest.description?.size).toBe(16);
    expect(newest.bytes).toBeGreaterThanOrEqual(3 * 12_288);
    expect(await clearPacks(folder)).toEqual({ packs: 2, bytes: newest.bytes + oldest.bytes });
    expect(readdirSync(folder)).toEqual(['mine.txt']);
    expect(await listPacks(join(base, 'nowhere'))).toEqual([]);
  });

  it('removes the least recently used packs over the limit', async () => {
    const files = [await fill({ size: 60 }), await fill({ size: 61 }), await fill({ size: 62 })];
    files.forEach((file, age) => {
      const used = new Date(1e12 + 1000 * age);
      utimesSync(file.replace(/pixels$/, 'json'), used, used);
    });
    await open({ size: 60 });
    await open({ size: 64 }, { limit: 130_000 });
    expect(files.map((file) => existsSync(file))).toEqual([true, false, true]);
    expect(notices).toEqual([]);
  });

  it('keeps the first images of a data set over the limit, and none with a limit of 0', async () => {
    expect((await open({}, { limit: 30_000 }))?.slots).toBe(2);
    expect(await open({}, { limit: 0 })).toBeUndefined();
    expect(readdirSync(folder)).toHaveLength(2);
  });

  it('reports in one line that a folder cannot be written', async () => {
    writeFileSync(join(base, 'file'), '');
    expect(await open({}, { folder: join(base, 'file', 'pixels') })).toBeUndefined();
    expect(notices).toEqual([expect.stringMatching(/^decoded pixels are not kept in .*ENOTDIR[^\n]*$/)]);
  });

  it('opens a pack without writing if the disk is nearly full', async () => {
    await open();
    expect(await open({}, { spareBytes: 1e18 })).toMatchObject({ writable: false });
    expect(notices).toEqual([expect.stringMatching(/MB wanted, \d+ MB free/)]);
  });

  it('ignores a broken description, and writes it again', async () => {
    const file = (await fill({})).replace(/pixels$/, 'json');
    writeFileSync(file, '{"root":');
    expect((await listPacks(folder))[0].description).toBeUndefined();
    await open();
    expect((await listPacks(folder))[0].description?.images).toBe(3);
  });

  it(
    'lets a write to a full disk fail with ENOSPC',
    needs('/dev/full', existsSync('/dev/full')),
    async () => {
      const file = await fill({});
      rmSync(file);
      symlinkSync('/dev/full', file);
      const cache = new DiskCache({ file, slots: 3, imageBytes: 12_288, writable: true });
      expect(() => cache.write(0, stampOf(base), new Uint8Array(12_288))).toThrow(/ENOSPC/);
    },
  );
});
