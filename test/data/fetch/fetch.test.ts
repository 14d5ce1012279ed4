import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create } from 'tar';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fetchDataset, type Source } from '../../../src/data/fetch/index.js';
import { writeCifar10 } from '../samples.js';
import { FaultyServer } from './server.js';
import { zip } from './zip.js';

const folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
const files: Record<string, Buffer> = {};
const server = new FaultyServer(files);
let url: string;

beforeAll(async () => {
  writeCifar10(join(folder, 'made', 'cifar-10-batches-bin'));
  await create({ gzip: true, cwd: join(folder, 'made'), file: join(folder, 'cifar.tar.gz') }, [
    'cifar-10-batches-bin',
  ]);
  files['cifar.tar.gz'] = readFileSync(join(folder, 'cifar.tar.gz'));
  files['tiny.zip'] = zip({
    'tiny/': Buffer.alloc(0),
    'tiny/wnids.txt': Buffer.from('n1\n'),
    'tiny/train/n1/images/a.JPEG': Buffer.from('image a'),
  });
  files['evil.zip'] = zip({ 'tiny/ok': Buffer.from('1'), 'tiny/../../escaped': Buffer.from('2') });
  files['a.gz'] = Buffer.from('first');
  files['b.gz'] = Buffer.from('second');
  url = await server.start();
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

function source(form: Source['form'], ...names: string[]): Source {
  const md5 = (name: string) => createHash('md5').update(files[name]).digest('hex');
  return { url, form, files: names.map((name) => ({ name, md5: md5(name) })) };
}

describe('fetchDataset', () => {
  const quick = { pauseMs: 5, silenceMs: 500, tries: 2 };

  it('unpacks a .tar.gz without its outermost folder', async () => {
    server.next();
    const dir = join(folder, 'data', 'cifar10');
    const { bytes } = await fetchDataset(source('tar', 'cifar.tar.gz'), { dir, ...quick });
    expect(bytes).toBe(files['cifar.tar.gz'].length);
    expect(readdirSync(dir).sort()).toEqual(readdirSync(join(folder, 'made', 'cifar-10-batches-bin')).sort());
    expect(existsSync(`${dir}.partial`)).toBe(false);
  });

  it('unpacks a .zip, and refuses one whose names leave the folder', async () => {
    server.next();
    const dir = join(folder, 'tiny');
    await fetchDataset(source('zip', 'tiny.zip'), { dir, ...quick });
    expect(readFileSync(join(dir, 'train', 'n1', 'images', 'a.JPEG'), 'utf8')).toBe('image a');
    const evil = join(folder, 'evil');
    await expect(fetchDataset(source('zip', 'evil.zip'), { dir: evil, ...quick })).rejects.toMatchObject({
      code: 'ARCHIVE_INVALID',
    });
    expect(readdirSync(folder)).not.toContain('escaped');
    expect(existsSync(evil)).toBe(false);
  });

  it('goes on with the files that an interrupted fetch has finished, and leaves nothing half', async () => {
    const dir = join(folder, 'plain');
    server.next(
      { kind: 'drop', after: 2, file: join(`${dir}.partial`, 'a.gz.part') },
      { kind: 'ignore-range' },
      { kind: 'status', code: 404 },
    );
    const failed = fetchDataset(source('plain', 'a.gz', 'b.gz'), { dir, ...quick });
    await expect(failed).rejects.toMatchObject({ code: 'DOWNLOAD_FAILED' });
    expect(existsSync(dir)).toBe(false);
    server.next();
    await fetchDataset(source('plain', 'a.gz', 'b.gz'), { dir, ...quick });
    expect(server.ranges).toEqual(['-']);
    expect(readdirSync(dir).sort()).toEqual(['a.gz', 'b.gz']);
  });

  it('never writes into a folder that holds files', async () => {
    const dir = join(folder, 'made');
    await expect(fetchDataset(source('plain', 'a.gz'), { dir })).rejects.toMatchObject({
      code: 'DATA_EXISTS',
    });
  });

  it('takes what a mirror gives where no checksum is wanted', async () => {
    const dir = join(folder, 'mirror');
    const official = { ...source('plain', 'a.gz'), url: 'http://127.0.0.1:9/' };
    const changed = { ...official, files: [{ name: 'a.gz', md5: 'f'.repeat(32) }] };
    server.next();
    await expect(fetchDataset(changed, { dir, url, ...quick })).rejects.toMatchObject({
      code: 'CHECKSUM_MISMATCH',
    });
    await fetchDataset(changed, { dir, url, skipChecksum: true, ...quick });
    expect(readFileSync(join(dir, 'a.gz'), 'utf8')).toBe('first');
  });
});
