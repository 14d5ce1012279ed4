import { mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { create } from 'tar';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDataset, datasets } from '../../../src/data/index.js';
import { FaultyServer } from '../../data/fetch/server.js';
import { Workplace } from '../../integration/command.js';
import { writeCifar10, writeImage, writeMnist, writeTinyImageNet } from '../../data/samples.js';

const place = new Workplace();
const { folder } = place;
afterAll(() => place.clear());

const reportOf = ({ stdout }: { stdout: string }) => JSON.parse(stdout) as Record<string, unknown>;

describe('pod-dist data cache', () => {
  it('shows and clears the pixel cache of a data set', async () => {
    const root = join(folder, 'pictures');
    for (const name of ['train/a', 'test/a']) {
      mkdirSync(join(root, name), { recursive: true });
      await writeImage(join(root, name, '1.png'), { r: 9, g: 8, b: 7 }, [8, 8]);
    }
    const cache = { folder: join(folder, 'kept') };
    const config = datasets.schema.parse({ name: 'image-folder', root, size: 8, cache });
    const dataset = await openDataset(config, { seed: 1 });
    for await (const { count } of dataset.read({ split: 'train', batches: [Int32Array.of(0)], epoch: 0 })) {
      expect(count).toBe(1);
    }
    await dataset.close();
    const shown = await place.ask('data', 'cache', '--folder', 'kept');
    expect(shown.stdout).toMatch(/pictures .* 2 .* 8x8x3 /);
    const cleared = await place.ask('data', 'cache', 'clear', '--folder', 'kept', '--json');
    expect(reportOf(cleared)).toMatchObject({ folder: 'kept', removed: 1 });
    const empty = await place.ask('data', 'cache', 'show', '--folder', 'kept');
    expect([empty.code, empty.stdout]).toEqual([0, 'kept: no pixels are kept there\n']);
    const wrong = await place.ask('data', 'cache', 'fill');
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringMatching(/show.*clear/)]);
  });
});

describe('pod-dist data fetch', () => {
  const files: Record<string, Buffer> = {};
  const server = new FaultyServer(files);
  let url: string;
  beforeAll(async () => {
    writeCifar10(join(folder, 'made', 'cifar-10-batches-bin'));
    const archive = join(folder, 'archive.tar.gz');
    await create({ gzip: true, cwd: join(folder, 'made'), file: archive }, ['cifar-10-batches-bin']);
    files['cifar-10-binary.tar.gz'] = readFileSync(archive);
    url = await server.start();
  });
  afterAll(() => server.stop());

  it('rejects http with --skip-checksum', async () => {
    const { code, stderr } = await place.ask('data', 'fetch', 'cifar10', '--url', url, '--skip-checksum');
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/https/);
    expect(server.ranges).toEqual([]);
  });

  it('rejects a file with another checksum than the published one', async () => {
    server.next();
    const { code, stderr } = await place.ask('data', 'fetch', 'cifar10', '--url', url, '--dir', 'other');
    expect(code).toBe(1);
    expect(stderr.trim().split('\n').pop()).toMatch(/^pod-dist: .*is not the file that was published/);
  });

  it('lists the known data sets, and explains which cannot be fetched', async () => {
    const unknown = await place.ask('data', 'fetch', 'cifar');
    expect([unknown.code, unknown.stderr]).toEqual([
      2,
      expect.stringMatching(/choose from cifar10, cifar100/),
    ]);
    const closed = await place.ask('data', 'fetch', 'facescrub');
    expect([closed.code, closed.stderr]).toEqual([2, expect.stringMatching(/on request/)]);
    const wrong = await place.ask('data', 'fetch', 'mnist', '--url', 'mirror');
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringMatching(/whole address/)]);
  });
});

describe('pod-dist data check', () => {
  it('reports counts, classes and sizes of MNIST and Tiny ImageNet files', async () => {
    writeMnist(join(folder, 'mnist'));
    await writeTinyImageNet(join(folder, 'tiny'));
    const mnist = await place.ask('data', 'check', 'mnist', '--json');
    expect(mnist.code).toBe(0);
    expect(reportOf(mnist)).toMatchObject({
      format: 'mnist',
      classes: 10,
      splits: { train: { images: 3, perClass: [1, 0, 0, 0, 1, 1], sizes: { '5x4x1': 3 } } },
    });
    const tiny = await place.ask('data', 'check', 'tiny');
    expect(tiny.code).toBe(0);
    expect(tiny.stdout).toMatch(/tiny: tiny-imagenet, 2 classes/);
    expect(tiny.stdout).toMatch(/64x64x3 \(3\), 64x64x1 \(1\)/);
  });

  it('lists every broken image and exits with code 1', async () => {
    const names = ['train/a', 'train/b', 'test/a', 'test/b'];
    for (const name of names) {
      mkdirSync(join(folder, 'images', name), { recursive: true });
      await writeImage(join(folder, 'images', name, '1.jpg'), { r: 9, g: 8, b: 7 }, [20, 10]);
    }
    const images = join(folder, 'images');
    writeFileSync(join(images, 'train', 'b', '2.png'), 'no picture');
    await writeImage(join(images, 'test', 'a', '3.jpg'), { r: 200, g: 8, b: 7 }, [300, 300]);
    truncateSync(join(images, 'test', 'a', '3.jpg'), 500);
    const result = await place.ask('data', 'check', 'images', '--json');
    expect(result.code).toBe(1);
    const { splits, broken } = reportOf(result) as { splits: unknown; broken: { file: string }[] };
    expect(splits).toMatchObject({
      train: { images: 2, perClass: [1, 1], sizes: { '20x10x3': 2 } },
      test: { images: 2 },
    });
    expect(broken.map(({ file }) => file)).toEqual([
      join('images', 'test', 'a', '3.jpg'),
      join('images', 'train', 'b', '2.png'),
    ]);
    expect(result.stderr).toMatch(/^pod-dist: images is broken: .*3\.jpg.*, and 1 more\n$/);
  });

  it('lists broken binary files, and rejects folders without a data set', async () => {
    writeCifar10(join(folder, 'cifar'));
    truncateSync(join(folder, 'cifar', 'data_batch_2.bin'), 99);
    rmSync(join(folder, 'cifar', 'test_batch.bin'));
    const { code, stdout } = await place.ask('data', 'check', 'cifar');
    expect(code).toBe(1);
    expect(stdout).toMatch(/broken: .*data_batch_2\.bin has 99 bytes/);
    expect(stdout).toMatch(/broken: no file .*test_batch\.bin/);
    mkdirSync(join(folder, 'nothing'));
    const nothing = await place.ask('data', 'check', 'nothing');
    expect([nothing.code, nothing.stderr]).toEqual([2, expect.stringMatching(/holds no data set/)]);
  });
});
