import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { Header } from 'tar';
import { fetchDataset, type Source } from '../../../src/data/fetch/index.js';
import { zip } from '../../data/fetch/zip.js';
import { Broken, type Target } from '../judge.js';
import { mutated } from '../mutations.js';
import { fingerprintOf } from '../sandbox.js';

/** Names that lead out of the folder, and names that file systems reject. */
const names = [
  'set/a',
  'set/deep/b.bin',
  'set/../../../outside',
  '../outside',
  '/outside',
  'set/./..//../outside',
  'set\\..\\..\\outside',
  'C:/outside',
  'set/link/inside',
  'set',
  'set/',
  '',
  'set/a/b',
  'set/nul\0byte',
  `set/${'x'.repeat(300)}`,
  `set/${'d/'.repeat(12)}end`,
  'set/\u202egnp.exe',
];

const links = ['set/a', '../../../marker', '/etc/hostname', '.', '..', 'a', '../../../..', 'outside'];
const types = [
  'File',
  'OldFile',
  'SymbolicLink',
  'Link',
  'Directory',
  'FIFO',
  'CharacterDevice',
  'BlockDevice',
];

interface Entry {
  name: string;
  link: string;
  type: string;
  mode: number;
  size: number;
  claimed: number;
}

const entry: fc.Arbitrary<Entry> = fc.record({
  name: fc.oneof(
    fc.constantFrom(...names),
    fc.string({ maxLength: 30 }).map((name) => `set/${name}`),
  ),
  link: fc.constantFrom(...links),
  type: fc.oneof({ weight: 3, arbitrary: fc.constant('File') }, fc.constantFrom(...types)),
  mode: fc.constantFrom(0o644, 0o755, 0o4755, 0o2755, 0o1777, 0o000, 0o777),
  size: fc.nat(2000),
  claimed: fc.oneof(
    { weight: 4, arbitrary: fc.constant(-1) },
    fc.constantFrom(0, 1, 511, 513, 2 ** 33, 2 ** 40),
  ),
});

function tarOf(entries: readonly Entry[]): Buffer {
  const blocks = entries.flatMap(({ name, link, type, mode, size, claimed }) => {
    const body = type === 'File' ? Buffer.alloc(size, 7) : Buffer.alloc(0);
    const header = new Header();
    Object.assign(header, { path: name, mode, uid: 1, gid: 1, size: claimed < 0 ? body.length : claimed });
    Object.assign(header, { mtime: new Date(0), linkpath: /Link/.test(type) ? link : '' });
    header.type = type as typeof header.type;
    const block = Buffer.alloc(512);
    header.encode(block, 0);
    return [block, body, Buffer.alloc((512 - (body.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

function zipOf(entries: readonly Entry[]): Buffer {
  return zip(Object.fromEntries(entries.map(({ name, size }) => [name, Buffer.alloc(size, 7)])));
}

const honest: Entry[] = ['set/a', 'set/deep/b.bin', 'set/deep/c'].map((name, index) => ({
  name,
  link: '',
  type: 'File',
  mode: 0o644,
  size: 700 * index,
  claimed: -1,
}));

const entries = fc.array(entry, { minLength: 1, maxLength: 6 });
const tars = [tarOf(honest), tarOf([{ ...honest[0], type: 'SymbolicLink', link: 'deep' }, ...honest])];
const zips = [zipOf(honest)];

export const tar = archive('tar', 'set.tar', fc.oneof(entries.map(tarOf), mutated(tars, { words: names })));

export const tarGz = archive(
  'tar',
  'set.tar.gz',
  fc.oneof(
    entries.map((list) => gzipSync(tarOf(list))),
    mutated(
      tars.map((bytes) => gzipSync(bytes)),
      { most: 3 },
    ),
  ),
);

export const zipped = archive(
  'zip',
  'set.zip',
  fc.oneof(entries.map(zipOf), mutated(zips, { words: names })),
);

/**
 * An archive with a right checksum. A file and a link to a folder lie beside the folder that it is unpacked into: both must
 * stay unchanged, and nothing may appear beside them.
 */
function archive(form: Source['form'], file: string, inputs: fc.Arbitrary<Buffer>): Target<Buffer> {
  return {
    name: file.replace('set.', ''),
    codes: ['ARCHIVE_INVALID'],
    inputs,
    async read(bytes, folder) {
      const place = join(folder, 'in', 'ner');
      const dir = join(place, 'data');
      rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 5 });
      mkdirSync(`${dir}.partial`, { recursive: true });
      writeFileSync(join(folder, 'marker'), 'as it was');
      symlinkSync('..', join(place, 'link'));
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      writeFileSync(join(`${dir}.partial`, file), bytes);
      const before = fingerprintOf(folder, [dir, `${dir}.partial`]);
      try {
        const files = [{ name: file, bytes: bytes.length, sha256 }];
        const source = { url: 'http://127.0.0.1:9/', form, files };
        await fetchDataset(source, { dir, tries: 1 });
      } finally {
        if (fingerprintOf(folder, [dir, `${dir}.partial`]) !== before)
          throw new Broken('wrote outside its folder');
      }
    },
  };
}
