import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDataset, datasets } from '../../src/data/index.js';
import { preprocessingOf, readImageFiles, type ImageBatch } from '../../src/data/preprocessing.js';
import { standardRules } from './rules.js';
import { randomStream } from '../../src/util/random.js';

let root: string;
const files: string[] = [];
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
  const random = randomStream(1);
  for (const split of ['train', 'test']) {
    mkdirSync(join(root, split, 'a'), { recursive: true });
    for (const [index, [width, height]] of [
      [20, 12],
      [9, 30],
      [16, 16],
      [40, 41],
      [16, 17],
    ].entries()) {
      const pixels = Uint8Array.from({ length: width * height * 3 }, () => random.below(256));
      const file = join(root, split, 'a', `${index}.${index === 3 ? 'jpg' : 'png'}`);
      await sharp(pixels, { raw: { width, height, channels: 3 } }).toFile(file);
      if (split === 'test') files.push(file);
    }
  }
});
afterAll(() => rmSync(root, { recursive: true }));

async function collect(from: AsyncIterable<ImageBatch>): Promise<ImageBatch[]> {
  const batches: ImageBatch[] = [];
  for await (const batch of from) batches.push(batch);
  return batches;
}

describe('readImageFiles', () => {
  const normalize = { mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4] };
  const grey = { mean: [0.5], std: [0.2] };

  it.each([
    ['stretched', { size: 8, normalize }],
    ['with the centre cut out', { size: 8, resize: 11, normalize }],
    ['as grey levels', { size: 8, channels: 1, normalize: grey }],
  ])('gives the pixels that a run evaluates, %s', async (_how, settings) => {
    const config = datasets.schema.parse({
      ...{ name: 'image-folder', root, threads: 1, ...settings },
      cache: { diskMegabytes: 0 },
      augment: { cropPadding: 2, flip: true, cutout: 2 },
    });
    const dataset = await openDataset(config, { seed: 1 });
    const expected: number[] = [];
    const batches = [Int32Array.of(0, 1, 2, 3, 4)];
    for await (const { images } of dataset.read({ split: 'test', batches, epoch: 3 }))
      expected.push(...images);
    await dataset.close();
    const read = await collect(readImageFiles(files, preprocessingOf(config, dataset.shape), 2));
    expect(read.map((batch) => batch.files)).toEqual([files.slice(0, 2), files.slice(2, 4), files.slice(4)]);
    expect(read.flatMap(({ images }) => [...images])).toEqual(expected);
  });

  it('skips files that it cannot read, and reports them', async () => {
    const broken = join(root, 'broken.png');
    writeFileSync(broken, 'no image');
    const [batch] = await collect(
      readImageFiles([files[0], broken, files[1]], { size: 4, channels: 3, rules: standardRules }, 8),
    );
    expect(batch.files).toEqual([files[0], files[1]]);
    expect(batch.images).toHaveLength(2 * 4 * 4 * 3);
    expect(batch.broken).toEqual([
      { file: broken, error: expect.objectContaining({ code: 'IMAGE_INVALID' }) },
    ]);
    rmSync(broken);
  });

  it('preprocessingOf rejects a data set whose images are not square', () => {
    expect(() => preprocessingOf(datasets.schema.parse({ name: 'mnist' }), [20, 28, 1])).toThrow(
      /28x20 pixels/,
    );
  });
});
