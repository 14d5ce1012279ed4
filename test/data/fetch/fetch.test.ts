import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { create } from 'tar';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fetchDataset, type Source } from '../../../src/data/fetch/index.js';
import { writeCifar10, writeMnist } from '../samples.js';
import { secureServer, type Answers } from './secure-server.js';
import { FaultyServer } from './server.js';
import { zip } from './zip.js';

const cli = fileURLToPath(new URL('../../../dist/launcher/cli.js', import.meta.url));
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
  const describe = (name: string) => ({
    name,
    bytes: files[name].length,
    sha256: createHash('sha256').update(files[name]).digest('hex'),
  });
  return { url, form, files: names.map(describe) };
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

  it('unpacks a .zip, and rejects one with a name outside the folder', async () => {
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

  it('keeps the finished files of a failed fetch for the next one, and creates the folder only at the end', async () => {
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

  it('rejects a folder that is not empty', async () => {
    const dir = join(folder, 'made');
    await expect(fetchDataset(source('plain', 'a.gz'), { dir })).rejects.toMatchObject({
      code: 'DATA_EXISTS',
    });
  });

  it('rejects a mirror with a wrong checksum, and a mirror over http with skipChecksum', async () => {
    const dir = join(folder, 'mirror');
    const official = { ...source('plain', 'a.gz'), url: 'http://127.0.0.1:9/' };
    const changed = { ...official, files: [{ name: 'a.gz', bytes: 5, sha256: 'f'.repeat(64) }] };
    server.next();
    await expect(fetchDataset(changed, { dir, url, ...quick })).rejects.toMatchObject({
      code: 'CHECKSUM_MISMATCH',
    });
    await expect(fetchDataset(changed, { dir, url, skipChecksum: true, ...quick })).rejects.toMatchObject({
      code: 'DOWNLOAD_FAILED',
      message: expect.stringContaining('is not https'),
    });
    expect(existsSync(dir)).toBe(false);
  });

  it('accepts any file of a mirror over https with --skip-checksum, but no redirect to http', async () => {
    const made = join(folder, 'mnist');
    writeMnist(made);
    const answers: Answers = {};
    for (const name of readdirSync(made)) {
      const content = readFileSync(join(made, name));
      answers[`/${name.replace('.gz', '')}.gz`] = name.endsWith('.gz') ? content : gzipSync(content);
    }
    const [first] = Object.keys(answers);
    const secure = await secureServer(folder, answers);
    const fetchMnist = (dir: string) =>
      promisify(execFile)(
        process.execPath,
        [cli, 'data', 'fetch', 'mnist', '--url', secure.url, '--skip-checksum', '--dir', dir],
        { env: { ...process.env, NODE_EXTRA_CA_CERTS: secure.certificate } },
      );
    try {
      const dir = join(folder, 'secure');
      await fetchMnist(dir);
      expect(readFileSync(join(dir, first)).equals(answers[first] as Buffer)).toBe(true);
      server.next();
      for (const path of Object.keys(answers)) answers[path] = { to: `${url}a.gz` };
      const failed = await fetchMnist(join(folder, 'insecure')).catch((error: unknown) => error);
      expect(failed).toMatchObject({ code: 1, stderr: expect.stringContaining('is not https') });
      expect(server.ranges).toEqual([]);
    } finally {
      await secure.close();
    }
  });
});
