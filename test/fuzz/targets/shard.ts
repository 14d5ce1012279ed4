import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { FileReader, findContainer } from '../../../src/data/places/container.js';
import { samplesOf } from '../../../src/data/shards/samples.js';
import { writeTar, type Files } from '../../data/shards/shards.js';
import { Broken, type Target } from '../judge.js';
import { mutated } from '../mutations.js';

const words = [
  '.cls',
  '.json',
  '.png',
  '../',
  'ustar',
  '././@LongLink',
  '27 path=x\n',
  '20 size=9999999999\n',
  '\0',
];
const formats = ['gnu', 'pax', 'ustar'];

const files: Files = [
  ['a/1.png', Buffer.alloc(600, 1)],
  ['a/1.cls', '3'],
  ['a/1.json', '{"label": "x"}'],
  [`${'deep/'.repeat(20)}${'n'.repeat(90)}.jpg`, Buffer.alloc(40, 2)],
  [`${'deep/'.repeat(20)}${'n'.repeat(90)}.cls`, '4'],
  [`${'deep/'.repeat(20)}${'n'.repeat(90)}.json`, '{"label": 5}'],
];

interface Shard {
  bytes: Buffer;
  classKey?: string;
  window: number;
}

let inputs: fc.Arbitrary<Shard>;

/** A shard of a data set, whose listed samples must lie within the file. */
export const shard: Target<Shard> = {
  name: 'shard',
  codes: ['DATA_INVALID'],
  prepare(folder) {
    const samples = formats.map((format) => {
      writeTar(join(folder, `${format}.tar`), files, `--format=${format}`);
      return readFileSync(join(folder, `${format}.tar`));
    });
    inputs = fc.record({
      bytes: fc.oneof(mutated(samples, { most: 4, words }), mutated(samples, { most: 2 }).map(withChecksums)),
      classKey: fc.constantFrom(undefined, 'label', '__proto__'),
      window: fc.constantFrom(512, 2000, 2 ** 16),
    });
  },
  get inputs() {
    return inputs;
  },
  async read({ bytes, classKey, window }, folder) {
    const file = join(folder, 'shard.tar');
    writeFileSync(file, bytes);
    const reader = new FileReader();
    try {
      const samples = await samplesOf(await findContainer(file), reader, { classKey, window });
      for (const { name, offset, size } of samples)
        if (!(offset >= 512 && size >= 0 && offset + size <= bytes.length))
          throw new Broken(`${name} has ${size} bytes from ${offset} of ${bytes.length}`);
    } finally {
      reader.close();
    }
  },
};

/** The same blocks with right header checksums, as a hostile writer would give them. */
function withChecksums(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  for (let at = 0; at + 512 <= copy.length; at += 512) {
    const header = copy.subarray(at, at + 512);
    if (header.toString('latin1', 257, 262) !== 'ustar') continue;
    header.fill(' ', 148, 156);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  }
  return copy;
}
