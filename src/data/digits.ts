import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { DataConfig } from '../config/schema.js';
import { UserError } from '../errors.js';
import { permutation, stream } from '../random.js';
import { Augmenter, checkNormalisation } from './augment.js';
import type { Batch, BatchRequest, Dataset, SplitName } from './dataset.js';

type DigitsConfig = Extract<DataConfig, { name: 'digits' }>;

const side = 8;
const size = side * side;
const classes = 10;
const white = 16;
const testImages = 360;

/** Rows of `digits.csv.gz`: grey levels 0..16 and the label of each image. */
interface Images {
  pixels: Uint8Array;
  labels: Int32Array;
}

/**
 * The 1,797 handwritten digits that ship with pod-dist (see digits/ATTRIBUTION.md), 8x8x1, grey levels scaled to
 * 0..1, split into 1,437 training and 360 test images: stratified, by `splitSeed` alone.
 */
export async function openDigits(config: DigitsConfig, seed: number): Promise<Dataset> {
  checkNormalisation(config.normalize, 1);
  const images = await readDigits();
  const test = stratifiedTest(images.labels, config.splitSeed);
  const chosen = new Set(test);
  const rows: Record<SplitName, Int32Array> = {
    train: Int32Array.from(images.labels.keys()).filter((row) => !chosen.has(row)),
    test,
  };
  const labels = {
    train: rows.train.map((row) => images.labels[row]),
    test: rows.test.map((row) => images.labels[row]),
  };
  const shape = { height: side, width: side, channels: 1, white, normalize: config.normalize };
  const augmenter = new Augmenter({ ...shape, ...config.augment, seed });

  async function* read({ split, batches, epoch }: BatchRequest): AsyncIterable<Batch> {
    for (const indices of batches) {
      const output = new Float32Array(indices.length * size);
      indices.forEach((index, position) => {
        const row = rows[split][index];
        const pixels = images.pixels.subarray(row * size, (row + 1) * size);
        augmenter.write({ pixels, index, epoch: split === 'train' ? epoch : -1 }, output, position * size);
      });
      yield { images: output, labels: indices.map((index) => labels[split][index]), count: indices.length };
    }
  }

  return {
    name: 'digits',
    classNames: Array.from({ length: classes }, (_, digit) => String(digit)),
    shape: [side, side, 1],
    labels,
    fingerprint: createHash('sha256')
      .update(images.pixels)
      .update(rows.train)
      .update(rows.test)
      .digest('hex'),
    read,
    close: async () => {},
  };
}

async function readDigits(): Promise<Images> {
  const file = new URL('./digits/digits.csv.gz', import.meta.url);
  return parseDigits((await promisify(gunzip)(await readFile(file))).toString('utf8'), fileURLToPath(file));
}

/**
 * Reads lines of 64 grey levels 0..16 and a label 0..9, separated by commas.
 *
 * @throws UserError `DATA_INVALID` with the file, the line and what is out of range there
 */
export function parseDigits(text: string, file: string): Images {
  const lines = text.trim().split('\n');
  const pixels = new Uint8Array(lines.length * size);
  const labels = new Int32Array(lines.length);
  lines.forEach((line, row) => {
    const values = line.split(',').map(Number);
    const label = values.pop() as number;
    const wrong = (what: string) => new UserError('DATA_INVALID', `${file}, line ${row + 1}: ${what}`);
    if (values.length !== size) throw wrong(`${values.length} grey levels and a label, not ${size}`);
    if (!isBelow(label, classes)) throw wrong(`label ${label} is no class: classes are 0 to ${classes - 1}`);
    const level = values.find((value) => !isBelow(value, white + 1));
    if (level !== undefined) throw wrong(`${level} is no grey level: they are 0 to ${white}`);
    pixels.set(values, row * size);
    labels[row] = label;
  });
  return { pixels, labels };
}

function isBelow(value: number, limit: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < limit;
}

/** Rows of the test split: of each class its share of 360 images, the largest remainders rounded up, sorted. */
function stratifiedTest(labels: Int32Array, splitSeed: number): Int32Array {
  const byClass = Array.from({ length: classes }, (_, label) => {
    const rows = Int32Array.from(labels.keys()).filter((row) => labels[row] === label);
    return permutation(rows.length, stream(splitSeed, 0x5917, label)).map((position) => rows[position]);
  });
  const shares = byClass.map((rows) => (rows.length * testImages) / labels.length);
  const counts = shares.map(Math.floor);
  const missing = testImages - counts.reduce((sum, count) => sum + count, 0);
  const order = [...counts.keys()].sort((a, b) => shares[b] - counts[b] - (shares[a] - counts[a]) || a - b);
  for (const label of order.slice(0, missing)) counts[label]++;
  return Int32Array.from(byClass.flatMap((rows, label) => [...rows.subarray(0, counts[label])])).sort();
}
