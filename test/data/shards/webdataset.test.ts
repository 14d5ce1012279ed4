import { execFileSync, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { checkDataset } from '../../../src/data/check.js';
import { findContainer, FileReader } from '../../../src/data/places/container.js';
import { samplesOf, type Sample } from '../../../src/data/shards/samples.js';
import { shardsOf } from '../../../src/data/shards/shard-names.js';
import { boundIndexes } from '../../../src/data/shards/shard-index.js';
import { indexShards } from '../../../src/data/shards/webdataset.js';
import { needs } from '../../needs.js';
import { writeFolder } from '../images.js';
import { writeShards, writeTar, type Files } from './shards.js';

const folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

const images = join(folder, 'images');
const root = join(folder, 'shards');
let pixel: Buffer;
beforeAll(async () => {
  await writeFolder(images, ['cat', 'dog'], 3);
  await writeShards(root, images);
  const background = { r: 1, g: 2, b: 3 };
  pixel = await sharp({ create: { width: 2, height: 2, channels: 3, background } })
    .png()
    .toBuffer();
});

const quiet = { notify: () => {} };
const plain = { root, holdOut: 0 };

async function read(file: string, classKey?: string, window = 512): Promise<Sample[]> {
  const reader = new FileReader();
  try {
    return await samplesOf(await findContainer(file), reader, { classKey, window });
  } finally {
    reader.close();
  }
}

const longName = `${'deep/'.repeat(40)}${'n'.repeat(120)}`;
const files: Files = [
  ['a/1.png', Uint8Array.of(1, 2, 3)],
  ['a/1.cls', '7'],
  ['a/1.txt', 'passed over'],
  ['a/2.json', JSON.stringify({ label: 'emu', size: 600 })],
  ['a/2.JPG', Buffer.alloc(600, 5)],
  ['a/2.cls', '12\n'],
  [`${longName}.cls`, '0'],
  [`${longName}.jpeg`, Buffer.alloc(1025, 9)],
  ['ümlaut.webp', Buffer.alloc(512, 4)],
  ['ümlaut.cls', '7'],
];

it.each(['gnu', 'pax', 'posix', 'oldgnu'])(
  'samplesOf finds the samples in an archive of tar --format=%s',
  async (format) => {
    const file = join(folder, `${format}.tar`);
    writeTar(file, files, `--format=${format}`);
    for (const window of [512, 2 ** 16]) {
      const found = await read(file, undefined, window);
      expect(found.map(({ name, className }) => [name, className])).toEqual([
        ['a/1.png', '7'],
        ['a/2.JPG', '12'],
        [`${longName}.jpeg`, '0'],
        ['ümlaut.webp', '7'],
      ]);
      const bytes = readFileSync(file);
      const contents = new Map(files);
      for (const { name, offset, size } of found)
        expect(bytes.subarray(offset, offset + size)).toEqual(Buffer.from(contents.get(name) as Uint8Array));
    }
  },
);

const python = spawnSync('python3', ['-c', 'import tarfile']).status === 0;
it(
  "samplesOf finds the samples in an archive of Python's tarfile, which WebDataset's TarWriter uses",
  needs('Python', python),
  async () => {
    const file = join(folder, 'python.tar');
    const program = `
import io, sys, tarfile
with tarfile.open(sys.argv[1], 'w|', format=tarfile.PAX_FORMAT) as tar:
    for key in ['one', sys.argv[2]]:
        for ending, content in [('jpg', b'x' * 700), ('json', b'{"label": "caf\\xc3\\xa9", "id": 3}')]:
            member = tarfile.TarInfo(key + '.' + ending)
            member.size, member.mtime, member.mode = len(content), 1234567.25, 0o444
            tar.addfile(member, io.BytesIO(content))
`;
    execFileSync('python3', ['-c', program, file, longName]);
    const found = await read(file, 'label');
    expect(found.map(({ name, size, className }) => [name, size, className])).toEqual([
      ['one.jpg', 700, 'café'],
      [`${longName}.jpg`, 700, 'café'],
    ]);
    expect((await read(file, 'id')).map(({ className }) => className)).toEqual(['3', '3']);
  },
);

it.each<[what: string, files: Files, classKey: string | undefined, message: RegExp]>([
  ['without a class', [['x.png', 'x']], undefined, /:? the sample x has no class, .*\.cls: .*data\.classKey/],
  ['without a description', [['x.png', 'x']], 'label', /the sample x has no file \.json/],
  [
    'without the entry of classKey',
    [
      ['x.png', 'x'],
      ['x.json', '{}'],
    ],
    'label',
    /has no class label in its \.json/,
  ],
  [
    'with a broken description',
    [
      ['x.png', 'x'],
      ['x.json', '{'],
    ],
    'label',
    /that is no JSON/,
  ],
  ['without an image', [['x.cls', '1']], undefined, /the sample x has no image/],
  [
    'with two images',
    [
      ['x.png', 'x'],
      ['x.jpg', 'x'],
      ['x.cls', '1'],
    ],
    undefined,
    /two images, x\.png and x\.jpg/,
  ],
  [
    'that occur twice',
    [
      ['x.png', 'x'],
      ['x.cls', '1'],
      ['y.png', 'x'],
      ['y.cls', '1'],
      ['x.json', '{}'],
    ],
    undefined,
    /the sample x is there twice/,
  ],
  [
    'with an empty class name',
    [
      ['x.png', 'x'],
      ['x.cls', ' '],
    ],
    undefined,
    /a class that is no name/,
  ],
  ['without any file of a sample', [['readme', 'x']], undefined, /holds no samples/],
])('samplesOf rejects samples %s, with the path of the shard', async (_, content, classKey, message) => {
  const file = join(folder, 'faulty.tar');
  writeTar(file, content);
  const error = { name: 'UserError', code: 'DATA_INVALID', message: expect.stringMatching(message) };
  await expect(read(file, classKey)).rejects.toMatchObject(error);
  await expect(read(file, classKey)).rejects.toThrow(file);
});

it('samplesOf rejects archives that are truncated, compressed, concatenated, or have a wrong checksum', async () => {
  const whole = join(folder, 'gnu.tar');
  const file = join(folder, 'broken.tar');
  const bytes = readFileSync(whole);
  const [, second] = await read(whole);
  const refused = async (content: Uint8Array, message: RegExp) => {
    writeFileSync(file, content);
    await expect(read(file)).rejects.toMatchObject({
      code: 'DATA_INVALID',
      message: expect.stringMatching(message),
    });
    await expect(read(file)).rejects.toThrow(file);
  };
  await refused(bytes.subarray(0, second.offset + 100), /a\/2\.JPG would have 600 bytes.*it is cut/);
  await refused(bytes.subarray(0, second.offset + 1024), /follows a\/2\.JPG: the archive is cut/);
  await refused(bytes.subarray(0, 0), /first entry: the archive is cut/);
  await refused(gzipSync(bytes), /it is compressed.*gunzip/);
  await refused(Buffer.concat([bytes, bytes]), /another one follows it/);
  const lying = Buffer.from(bytes);
  lying.write('77777777777\0', second.offset - 512 + 124);
  await refused(lying, /checksum is wrong/);
});

it('shardsOf expands patterns, takes lists, and finds shards by name', async () => {
  const names = async (split: 'train' | 'test', patterns: object) =>
    (await shardsOf({ root, ...patterns }, split)).map((path) => basename(path));
  expect(await names('train', { train: 'x-{008..010}.tar' })).toEqual([
    'x-008.tar',
    'x-009.tar',
    'x-010.tar',
  ]);
  expect(await names('train', { train: ['b.tar', '{a,c}.tar'] })).toEqual(['b.tar', 'a.tar', 'c.tar']);
  expect(await names('train', {})).toEqual(['train-0.tar', 'train-1.tar']);
  expect(await names('test', {})).toEqual(['test-0.tar', 'test-1.tar']);
  await expect(names('train', { train: ['a.tar', '{a,b}.tar'] })).rejects.toThrow(/a\.tar twice/);
  await expect(names('train', { train: '{1..1000000}.tar' })).rejects.toThrow(/more than 100000 shards/);
});

it('indexShards orders images and classes as the image folder does', async () => {
  const { classNames, splits } = await indexShards(plain, quiet);
  expect(classNames).toEqual(['cat', 'dog']);
  expect([...splits.train.labels]).toEqual([0, 0, 0, 1, 1, 1]);
  expect([...(splits.test.parts?.container ?? [])]).toEqual([0, 0, 0, 1, 1, 1]);
});

it('indexShards sorts numeric classes by value, and holds out a share of each class', async () => {
  const own = join(folder, 'numbers');
  const sample = (key: number, label: number): Files => [
    [`${key}.png`, pixel],
    [`${key}.cls`, String(label)],
  ];
  writeTar(
    join(own, 'train.tar'),
    [10, 2, 9, 10, 2, 9, 10, 2, 9].flatMap((label, key) => sample(key, label)),
  );
  const { classNames, splits } = await indexShards({ root: own, holdOut: 0.3 }, quiet);
  expect(classNames).toEqual(['2', '9', '10']);
  expect([...splits.test.labels].sort()).toEqual([0, 1, 2]);
  expect(splits.train.files).toHaveLength(6);
  expect(new Set([...splits.train.files, ...splits.test.files]).size).toBe(9);
  await expect(indexShards({ root: own, holdOut: 0 }, quiet)).rejects.toThrow(/holds no test or val\*\.tar/);
});

it('indexShards rejects classes that occur only in test shards, and classes that a model does not know', async () => {
  const own = join(folder, 'classes');
  for (const [name, label] of [
    ['train', 'ape'],
    ['test', 'bee'],
  ])
    writeTar(join(own, `${name}.tar`), [
      ['x.png', pixel],
      ['x.cls', label],
    ]);
  await expect(indexShards({ root: own, holdOut: 0 }, quiet)).rejects.toThrow(/those of train lack: bee/);
  const known = (evaluated: string[]) => indexShards({ root: own, holdOut: 0 }, { ...quiet, evaluated });
  await expect(known(['ape'])).rejects.toMatchObject({ code: 'CHECKPOINT_MISMATCH' });
  expect([...(await known(['ape', 'bee'])).splits.test.labels]).toEqual([1]);
});

it('indexShards keeps its index until a shard changes or the index is damaged', async () => {
  const own = join(folder, 'kept');
  const cache = join(folder, 'cache');
  mkdirSync(own);
  for (const name of readdirSync(root)) copyFileSync(join(root, name), join(own, name));
  const list = () => indexShards({ root: own, holdOut: 0 }, { ...quiet, folder: cache });
  const first = await list();
  expect(readdirSync(cache)).toHaveLength(4);
  // A shard of zeros with the old size and time shows that the index is read, not the shard.
  const shard = join(own, 'train-0.tar');
  const { version } = await findContainer(shard);
  const seconds = Number(version) / 1e9;
  utimesSync(shard, seconds, Math.floor(seconds));
  await list();
  const bytes = readFileSync(shard);
  writeFileSync(shard, Buffer.alloc(bytes.length));
  utimesSync(shard, seconds, Math.floor(seconds));
  expect((await list()).splits.train.files).toEqual(first.splits.train.files);
  for (const name of readdirSync(cache)) truncateSync(join(cache, name), 200);
  await expect(list()).rejects.toThrow(/holds no samples/);
  writeFileSync(shard, bytes);
  expect((await list()).splits.train.parts).toEqual({
    ...first.splits.train.parts,
    containers: expect.any(Array),
  });
  await boundIndexes(cache, 1);
  expect(readdirSync(cache)).toEqual([]);
});

it('FileReader rejects a shard that changes while it is open', async () => {
  const file = join(folder, 'changing.tar');
  copyFileSync(join(folder, 'gnu.tar'), file);
  const container = await findContainer(file);
  const reader = new FileReader();
  expect(await reader.read(container, 0, 10)).toHaveLength(10);
  appendFileSync(file, 'x');
  await expect(reader.read(container, 0, 10)).rejects.toThrow(`${file} has changed`);
  reader.close();
});

it('checkDataset checks every image of the shards', async () => {
  const report = await checkDataset(root);
  expect(report).toMatchObject({
    format: 'webdataset',
    classNames: ['cat', 'dog'],
    broken: [],
    warnings: [],
  });
  expect(report.splits.train).toEqual({ images: 6, perClass: [3, 3], sizes: { '8x8x3': 6 } });
  const own = join(folder, 'checked');
  const good: Files = [
    ['x.png', pixel],
    ['x.cls', 'a'],
  ];
  writeTar(join(own, 'train-0.tar'), [...good, ['y.png', 'no image'], ['y.cls', 'a']]);
  writeTar(join(own, 'train-1.tar'), [['z.png', pixel]]);
  writeTar(join(own, 'test-0.tar'), good);
  const { broken, splits } = await checkDataset(own);
  expect(splits.train.images).toBe(1);
  expect(broken.map(({ problem }) => problem)).toEqual([
    expect.stringMatching(/train-1\.tar: the sample z has no class/),
    expect.stringMatching(/train-0\.tar:y\.png is no image/),
  ]);
});
