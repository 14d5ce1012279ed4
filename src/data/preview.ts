import { augmentation } from './augment-schema.js';
import type { Batch, Dataset } from './dataset.js';
import { loadSharp } from './decoder.js';
import { openDataset, type DataConfig } from './index.js';
import { globalBatches } from './sampler.js';
import { readTraining } from './training-batches.js';

export interface PreviewOptions {
  data: DataConfig;
  seed: number;
  /** Training images that are shown, at most. */
  images: number;
  /** Epochs that each is shown as training sees it. */
  epochs: number;
  notify(line: string): void;
}

/** A picture of training images. */
export interface Preview {
  png: Buffer;
  images: number;
  width: number;
  height: number;
}

/** Pixels of a side that small images are enlarged to, by whole factors, and between images. */
const leastSide = 96;
const gap = 4;

/**
 * Some training images, drawn by the seed, a row each: as it is, and then as training sees it in each of its first epochs.
 * The images shown are one batch, so mixed ones are mixed with the row above.
 */
export async function previewImages({
  data,
  seed,
  images,
  epochs,
  notify,
}: PreviewOptions): Promise<Preview> {
  const open = (settings: DataConfig) => openDataset(settings, { seed, notify });
  const plain = await open({ ...data, augment: augmentation.parse({}) } as DataConfig);
  const count = plain.labels.train.length;
  const [batch] = globalBatches(count, Math.min(images, count), seed, 0);
  try {
    const dataset = await open(data);
    try {
      const columns = [await read(plain, batch, { data, seed, epoch: 0 })];
      for (let epoch = 0; epoch < epochs; epoch++)
        columns.push(await read(dataset, batch, { data, seed, epoch, augmented: true }));
      return await draw(columns, dataset.shape);
    } finally {
      await dataset.close();
    }
  } finally {
    await plain.close();
  }
}

/** Levels of a batch's images, 0 to 1. */
async function read(
  dataset: Dataset,
  batch: Int32Array,
  {
    data,
    seed,
    epoch,
    augmented = false,
  }: Pick<PreviewOptions, 'data' | 'seed'> & { epoch: number; augmented?: boolean },
): Promise<Float32Array> {
  const augment = augmented ? data.augment : augmentation.parse({});
  const request = { global: [batch], rank: 0, worldSize: 1, epoch, seed, augment };
  const [, , channels] = dataset.shape;
  const { mean = [], std = [] } = data.normalize ?? {};
  let levels = new Float32Array(0);
  for await (const { images } of readTraining(dataset, request) as AsyncIterable<Batch>)
    levels = images.map((value, at) => value * (std[at % channels] ?? 1) + (mean[at % channels] ?? 0));
  return levels;
}

async function draw(
  columns: readonly Float32Array[],
  [height, width, channels]: Dataset['shape'],
): Promise<Preview> {
  const scale = Math.max(1, Math.ceil(leastSide / Math.max(height, width)));
  const size = height * width * channels;
  const rows = columns[0].length / size;
  const sheet = {
    width: columns.length * (width * scale + gap) + gap,
    height: rows * (height * scale + gap) + gap,
  };
  const pixels = Buffer.alloc(sheet.width * sheet.height * 3, 255);
  columns.forEach((levels, column) => {
    for (let row = 0; row < rows; row++)
      for (let y = 0; y < height * scale; y++)
        for (let x = 0; x < width * scale; x++) {
          const from = row * size + (Math.floor(y / scale) * width + Math.floor(x / scale)) * channels;
          const top = gap + row * (height * scale + gap) + y;
          const to = (top * sheet.width + gap + column * (width * scale + gap) + x) * 3;
          for (let channel = 0; channel < 3; channel++) {
            const level = levels[from + Math.min(channel, channels - 1)];
            pixels[to + channel] = Math.round(255 * Math.min(1, Math.max(0, level)));
          }
        }
  });
  const sharp = await loadSharp();
  const png = await sharp(pixels, { raw: { ...sheet, channels: 3 } })
    .png()
    .toBuffer();
  return { png, images: rows, ...sheet };
}
