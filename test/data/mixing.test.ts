import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { augmentation } from '../../src/data/augment-schema.js';
import type { Batch, Dataset } from '../../src/data/dataset.js';
import { datasets, openDataset } from '../../src/data/index.js';
import { cutOf, drawMix, mixInPlace, type Mix } from '../../src/data/mixing.js';
import { globalBatches } from '../../src/data/sampler.js';
import { readTraining } from '../../src/data/training-batches.js';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeFolder } from './images.js';

interface Golden {
  height: number;
  width: number;
  colour: string;
  mixup: { share: number; images: string };
  cutmix: { drawn: number; x: number; y: number; share: number; images: string };
}

/** Results of torchvision, written by golden/augmentation.py. */
const golden = JSON.parse(
  readFileSync(new URL('./golden/augmentation.json', import.meta.url), 'utf8'),
) as Golden;
const shape = [golden.height, golden.width, 3] as const;
const [height, width, channels] = shape;

/** The batch of augmentation.py, after its last image: the image, its mirror image, and the image upside down. */
function batch(): Float32Array {
  const image = Float32Array.from(Buffer.from(golden.colour, 'base64'), (level) => level / 255);
  const at = (y: number, x: number, channel: number) => image[(y * width + x) * channels + channel];
  const turned = (from: (y: number, x: number, channel: number) => number) =>
    image.map((_, place) => {
      const pixel = Math.floor(place / channels);
      return from(Math.floor(pixel / width), pixel % width, place % channels);
    });
  const mirrored = turned((y, x, channel) => at(y, width - 1 - x, channel));
  const upsideDown = turned((y, x, channel) => at(height - 1 - y, x, channel));
  return Float32Array.from([...upsideDown, ...image, ...mirrored, ...upsideDown]);
}

function expectMixed(mix: Mix, wanted: string): void {
  const images = batch();
  mixInPlace(images, mix, shape);
  const expected = new Float32Array(Uint8Array.from(Buffer.from(wanted, 'base64')).buffer);
  const mixed = images.subarray(height * width * channels);
  expect(mixed.length).toBe(expected.length);
  mixed.forEach((value, at) => expect(Math.abs(value - expected[at])).toBeLessThan(1e-6));
}

describe('mixInPlace and drawMix', () => {
  it('mix a batch as torchvision does', () => {
    expectMixed({ share: golden.mixup.share }, golden.mixup.images);
    const { drawn, x, y, share, images } = golden.cutmix;
    const cut = cutOf(drawn, [x, y], shape);
    expect(Math.abs(cut.share - share)).toBeLessThan(1e-6);
    expectMixed(cut, images);
  });

  it.each([0.1, 1, 4])(
    'draw shares from Beta(alpha, alpha) with alpha %d, and MixUp and CutMix equally often',
    (alpha) => {
      const settings = { mixup: { alpha }, cutmix: { alpha: 1 }, mixProbability: 0.8 };
      const drawn = Array.from({ length: 5000 }, (_, batch) =>
        drawMix(settings, { seed: 1, epoch: 2, batch, shape: [32, 32, 3] }),
      );
      const sums = drawn.flatMap((mix) => (mix && !mix.box ? [mix.share] : []));
      const cuts = drawn.flatMap((mix) => (mix?.box ? [mix.share] : []));
      for (const { length } of [sums, cuts]) expect(Math.abs(length - 2000)).toBeLessThan(150);
      const mean = sums.reduce((sum, share) => sum + share, 0) / sums.length;
      const variance = sums.reduce((sum, share) => sum + (share - mean) ** 2, 0) / sums.length;
      expect(Math.abs(mean - 0.5)).toBeLessThan(0.04);
      expect(Math.abs(variance * 4 * (2 * alpha + 1) - 1)).toBeLessThan(0.1);
      expect(cuts.every((share) => share >= 0 && share <= 1)).toBe(true);
    },
  );
});

describe('readTraining with mixing', () => {
  let root: string;
  const opened: Dataset[] = [];
  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
    await writeFolder(root, ['cat', 'dog', 'emu'], 4);
    const augment = augmentation.parse({ cropPadding: 2, flip: true, randAugment: { numOps: 1 } });
    const folder = { name: 'image-folder', root, size: 8, threads: 1, cache: { diskMegabytes: 0 }, augment };
    for (const settings of [{ name: 'digits', augment }, folder])
      opened.push(await openDataset(datasets.schema.parse(settings), { seed: 1 }));
  });
  afterAll(async () => {
    for (const dataset of opened) await dataset.close();
    rmSync(root, { recursive: true });
  });

  const augment = augmentation.parse({ mixup: { alpha: 1 }, cutmix: { alpha: 1 }, mixProbability: 0.8 });
  const global = globalBatches(12, 5, 3, 0);

  async function read(dataset: Dataset, rank: number, worldSize: number, first = 0): Promise<Batch[]> {
    const found: Batch[] = [];
    const request = { global, first, rank, worldSize, epoch: 3, seed: 1, augment };
    for await (const { images, labels, mixed, count } of readTraining(dataset, request))
      found.push({
        ...{ images: images.slice(), labels: labels.slice(), count },
        mixed: mixed && { share: mixed.share, labels: mixed.labels.slice() },
      });
    return found;
  }

  it.each([['digits'], ['image files']])(
    'gives the same mixed images for 1, 2 and 3 ranks: %s',
    async (name) => {
      const dataset = opened[name === 'digits' ? 0 : 1];
      const whole = await read(dataset, 0, 1);
      expect(whole.map(({ count }) => count)).toEqual([5, 5, 2]);
      const labels = dataset.labels.train;
      whole.forEach(({ labels: own, mixed }, index) => {
        const images = global[index];
        expect([...own]).toEqual(Array.from(images, (image) => labels[image]));
        if (!mixed) return;
        const partners = Array.from(images, (_, place) => images.at(place - 1) as number);
        expect([...mixed.labels]).toEqual(partners.map((image) => labels[image]));
      });
      expect(whole.some(({ mixed }) => mixed)).toBe(true);
      for (const worldSize of [2, 3]) {
        const ranks = await Promise.all(
          [...Array(worldSize).keys()].map((rank) => read(dataset, rank, worldSize)),
        );
        whole.forEach((batch, index) => {
          const parts = ranks.map((batches) => batches[index]);
          expect(parts.flatMap(({ images }) => [...images])).toEqual([...batch.images]);
          expect(parts.flatMap((part) => [...(part.mixed?.labels ?? [])])).toEqual([
            ...(batch.mixed?.labels ?? []),
          ]);
          for (const part of parts) expect(part.mixed?.share).toBe(batch.mixed?.share);
        });
      }
      expect(await read(dataset, 0, 1, 1)).toEqual(whole.slice(1));
      expect(await read({ ...dataset, mixes: undefined }, 0, 1)).toEqual(whole);
    },
  );
});
