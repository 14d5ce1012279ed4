import { fileURLToPath } from 'node:url';
import { UserError } from '../util/errors.js';
import { permutation, randomStream } from '../util/random.js';
import type { Dataset } from './dataset.js';
import { readDataFile } from './read-file.js';
import { holdOut, rowsOf } from './hold-out.js';
import { storedDataset, type StoredImages, type StoredSettings, type StoredSplit } from './stored-images.js';

interface DigitsSettings extends StoredSettings {
  splitSeed: number;
  holdOut: number;
}

const side = 8;
const size = side * side;
const classes = 10;
const white = 16;
const testImages = 360;

/**
 * The 1,797 handwritten digits that ship with pod-dist (see digits/ATTRIBUTION.md), 8x8x1, grey levels scaled to
 * 0..1, split into 1,437 training and 360 test images: stratified, by `splitSeed` alone.
 */
export async function openDigits(config: DigitsSettings, seed: number): Promise<Dataset> {
  const images = await readDigits();
  const test = stratifiedTest(images.labels, config.splitSeed);
  const chosen = new Set(test);
  const train = Int32Array.from(images.labels.keys()).filter((row) => !chosen.has(row));
  const all: StoredImages = {
    name: 'digits',
    classNames: Array.from({ length: classes }, (_, digit) => String(digit)),
    shape: [side, side, 1],
    white,
    splits: { train: rowsOf(images, train), test: rowsOf(images, test) },
  };
  return storedDataset(holdOut(all, config.holdOut), config, seed);
}

/** The rows of `digits.csv.gz`: grey levels 0..16 and the label of each image. */
async function readDigits(): Promise<StoredSplit> {
  const file = fileURLToPath(new URL('./digits/digits.csv', import.meta.url));
  return parseDigits((await readDataFile(file, 2 ** 20)).toString('utf8'), `${file}.gz`);
}

/**
 * Reads lines of 64 grey levels 0..16 and a label 0..9, separated by commas.
 *
 * @throws UserError `DATA_INVALID` with the file, the line and what is out of range there
 */
export function parseDigits(text: string, file: string): StoredSplit {
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
    return permutation(rows.length, randomStream(splitSeed, 0x5917, label)).map((position) => rows[position]);
  });
  const shares = byClass.map((rows) => (rows.length * testImages) / labels.length);
  const counts = shares.map(Math.floor);
  const missing = testImages - counts.reduce((sum, count) => sum + count, 0);
  const order = [...counts.keys()].sort((a, b) => shares[b] - counts[b] - (shares[a] - counts[a]) || a - b);
  for (const label of order.slice(0, missing)) counts[label]++;
  return Int32Array.from(byClass.flatMap((rows, label) => [...rows.subarray(0, counts[label])])).sort();
}
