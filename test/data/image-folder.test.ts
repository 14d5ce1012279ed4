import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type DataConfig } from '../../src/config/schema.js';
import { augmentation } from '../../src/data/augment-schema.js';
import type { Batch, BatchRequest, Dataset } from '../../src/data/dataset.js';
import { openDataset, datasets } from '../../src/data/index.js';
import { levelOf, writeFolder, writeImage } from './images.js';
import { needs } from '../needs.js';

let root: string;
const open: Dataset[] = [];
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
  await writeFolder(root, ['cat', 'dog', 'emu'], 4);
});
afterEach(async () => void (await Promise.all(open.splice(0).map((dataset) => dataset.close()))));
afterAll(() => rmSync(root, { recursive: true }));

type Settings = Partial<Extract<DataConfig, { name: 'image-folder' }>>;

const strong = augmentation.parse({
  ...{ randAugment: { numOps: 2 }, colorJitter: { brightness: 0.4, saturation: 0.4, hue: 0.1 } },
  randomErasing: { p: 0.5, value: 'random' },
});

const cache = { memoryMegabytes: 1, diskMegabytes: 1 };

async function dataset(settings: Settings = {}, seed = 1, notify?: (line: string) => void): Promise<Dataset> {
  const config = datasets.schema.parse({
    name: 'image-folder',
    root,
    size: 8,
    threads: 2,
    cache: { diskMegabytes: 0 },
    ...settings,
  });
  const opened = await openDataset(config, { seed, notify });
  open.push(opened);
  return opened;
}

async function collect(from: Dataset, request: Partial<BatchRequest>): Promise<Batch[]> {
  const found: Batch[] = [];
  for await (const batch of from.read({ split: 'train', batches, epoch: 0, ...request }))
    found.push({ ...batch, images: batch.images.slice() });
  return found;
}

const imageSize = 8 * 8 * 3;
const batches = [[11, 0, 5], [], [1], [2, 3, 4, 6, 7, 8, 9, 10]].map((indices) => Int32Array.from(indices));

describe('openImageFolder', () => {
  it('has classes, labels and shape', async () => {
    const { classNames, labels, shape } = await dataset();
    expect(classNames).toEqual(['cat', 'dog', 'emu']);
    expect([...labels.train]).toEqual([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]);
    expect([...labels.test]).toEqual([...labels.train]);
    expect(shape).toEqual([8, 8, 3]);
  });

  it.each(['train', 'test'] as const)('reads the %s images of each batch in order', async (split) => {
    const found = await collect(await dataset(), { split });
    expect(found.map(({ count }) => count)).toEqual([3, 0, 1, 8]);
    found.forEach(({ images, labels, count }, batch) => {
      expect(images).toHaveLength(count * imageSize);
      batches[batch].forEach((index, row) => {
        expect(labels[row]).toBe(Math.floor(index / 4));
        const level = 255 * images[row * imageSize + 100];
        expect(Math.abs(level - levelOf(split, index))).toBeLessThan(2);
      });
    });
  });

  it('gives the same pixels for any number of threads, any prefetch, with and without a cache', async () => {
    const augment = { ...strong, cropPadding: 2, flip: true, cutout: 2, randomResizedCrop: false };
    const settings: Settings[] = [
      { threads: 1, prefetch: 1, cache: { memoryMegabytes: 0, diskMegabytes: 0 } },
      { threads: 3, prefetch: 8 },
      { threads: 2, prefetch: 1, cache: { ...cache, folder: join(root, 'pixels') } },
    ];
    const runs = await Promise.all(settings.map((own) => dataset({ augment, ...own })));
    for (const epoch of [0, 1]) {
      const [first, ...others] = await Promise.all(runs.map((own) => collect(own, { epoch })));
      for (const other of others) expect(other).toEqual(first);
    }
  });

  it('augments training images by (seed, epoch, index), and no test images', async () => {
    const augment = { ...strong, cropPadding: 3, flip: true, cutout: 2, randomResizedCrop: false };
    const [own, again, other] = await Promise.all([
      dataset({ augment }),
      dataset({ augment }),
      dataset({ augment }, 2),
    ]);
    const first = await collect(own, { epoch: 3 });
    expect(await collect(again, { epoch: 3 })).toEqual(first);
    expect(await collect(again, { epoch: 4 })).not.toEqual(first);
    expect(await collect(other, { epoch: 3 })).not.toEqual(first);
    expect(await collect(other, { split: 'test', epoch: 3 })).toEqual(
      await collect(await dataset(), { split: 'test' }),
    );
  });

  it('gives an image the same pixels in every batch', async () => {
    const own = await dataset({
      augment: { ...strong, cropPadding: 3, flip: true, cutout: 2, randomResizedCrop: false },
    });
    const [mixed] = await collect(own, { batches: [Int32Array.of(4, 9, 2)], epoch: 1 });
    const [alone] = await collect(own, { batches: [Int32Array.of(9)], epoch: 1 });
    expect(mixed.images.subarray(imageSize, 2 * imageSize)).toEqual(alone.images);
  });

  it('can be read again after a reader has stopped in the middle', async () => {
    const own = await dataset({ prefetch: 2 });
    for await (const batch of own.read({ split: 'train', batches, epoch: 0 })) {
      expect(batch.count).toBe(3);
      break;
    }
    expect(await collect(own, {})).toHaveLength(batches.length);
  });

  it.each(['read again', 'closed'])(
    'can be stopped while results wait for this thread, and %s',
    async (then) => {
      for (let round = 0; round < 3; round++) {
        const own = await dataset({ prefetch: 3 });
        for await (const batch of own.read({ split: 'train', batches, epoch: 0 })) {
          expect(batch.count).toBe(3);
          const start = performance.now();
          while (performance.now() - start < 50);
          break;
        }
        if (then === 'read again') expect(await collect(own, {})).toHaveLength(batches.length);
        await own.close();
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
  );

  it('has a fingerprint that depends on names and files, not on the path of the folder', async () => {
    const copy = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
    try {
      await writeFolder(copy, ['cat', 'dog', 'emu'], 4);
      const digest = async (settings?: Settings) => (await dataset(settings)).fingerprint();
      const own = await digest();
      expect(await digest({ root: copy })).toBe(own);
      await writeImage(join(copy, 'train', 'cat', 'more.png'), [1, 2, 3]);
      expect(await digest({ root: copy })).not.toBe(own);
    } finally {
      rmSync(copy, { recursive: true });
    }
  });

  it('has another fingerprint after a change of a byte or of the size of a file', async () => {
    const copy = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
    try {
      await writeFolder(copy, ['cat', 'dog', 'emu'], 4);
      const digest = async () => (await dataset({ root: copy })).fingerprint();
      const file = join(copy, 'train', 'dog', '1.jpg');
      const bytes = readFileSync(file);
      const found = new Set([await digest()]);
      bytes[bytes.length - 10] ^= 1;
      writeFileSync(file, bytes);
      found.add(await digest());
      writeFileSync(file, Buffer.concat([bytes, Buffer.alloc(1)]));
      found.add(await digest());
      expect(found.size).toBe(3);
    } finally {
      rmSync(copy, { recursive: true });
    }
  });

  it('rejects a broken image with its path, after the batches before it', async () => {
    const copy = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
    try {
      await writeFolder(copy, ['cat', 'dog'], 2);
      const broken = join(copy, 'train', 'dog', '1.jpg');
      writeFileSync(broken, 'no image');
      const reader = (await dataset({ root: copy })).read({
        split: 'train',
        batches: [Int32Array.of(0, 1), Int32Array.of(2, 3)],
        epoch: 0,
      });
      const seen: number[] = [];
      const work = async () => {
        for await (const { count } of reader) seen.push(count);
      };
      await expect(work()).rejects.toMatchObject({
        name: 'UserError',
        code: 'IMAGE_INVALID',
        message: expect.stringContaining(broken),
      });
      expect(seen).toEqual([2]);
    } finally {
      rmSync(copy, { recursive: true });
    }
  });

  it('keeps pixels on disk for a later run, and decodes changed files again', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
    try {
      await writeFolder(join(folder, 'data'), ['cat', 'dog'], 2);
      const settings = { root: join(folder, 'data'), cache: { ...cache, folder: join(folder, 'pixels') } };
      const order = { batches: [Int32Array.of(3, 0), Int32Array.of(2, 1)] };
      const first = await dataset(settings);
      const decoded = await collect(first, order);
      expect(await collect(first, { ...order, epoch: 1 })).toEqual(decoded);
      expect(first.origins).toEqual({ decoded: 4, disk: 0, memory: 4 });
      await writeImage(join(folder, 'data', 'train', 'cat', '0.png'), [250, 250, 250]);
      const second = await dataset(settings);
      const [changed, same] = await collect(second, order);
      expect(second.origins).toEqual({ decoded: 1, disk: 3, memory: 0 });
      expect(same).toEqual(decoded[1]);
      expect(changed.images.subarray(0, imageSize)).toEqual(decoded[0].images.subarray(0, imageSize));
      expect(changed.images[imageSize]).toBeCloseTo(250 / 255, 5);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it(
    'continues when the disk is full, and reports that once',
    needs('Linux', process.platform === 'linux'),
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
      try {
        const notices: string[] = [];
        const notify = (line: string) => void notices.push(line);
        const own = await dataset({ cache: { ...cache, folder } }, 1, notify);
        const [pixels] = readdirSync(folder).filter((name) => name.endsWith('.pixels'));
        rmSync(join(folder, pixels));
        symlinkSync('/dev/full', join(folder, pixels));
        expect(await collect(own, {})).toEqual(await collect(await dataset(), {}));
        expect(own.origins).toEqual({ decoded: 12, disk: 0, memory: 0 });
        expect(notices).toEqual([expect.stringMatching(/^decoded pixels are not kept in .* \(ENOSPC\), /)]);
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  );

  it('rejects a mean or deviation whose length is not the number of channels', async () => {
    await expect(dataset({ channels: 1, normalize: { mean: [0, 0, 0], std: [1] } })).rejects.toThrow(
      'data.normalize.mean has 3 values, images have 1 channel',
    );
  });

  it('can be closed twice', async () => {
    const own = await dataset();
    await collect(own, {});
    await own.close();
    await own.close();
  });
});
