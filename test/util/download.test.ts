import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { download, type DownloadOptions } from '../../src/util/download.js';
import { FaultyServer } from '../data/fetch/server.js';

const content = Buffer.from(Float64Array.from({ length: 50_000 }, (_, index) => Math.sin(index)).buffer);
const digest = { algorithm: 'sha256', hex: createHash('sha256').update(content).digest('hex') } as const;

describe('download', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
  const file = join(folder, 'data.bin');
  const server = new FaultyServer({ 'data.bin': content });
  let url: string;
  let retries: string[];
  beforeAll(async () => void (url = await server.start()));
  beforeEach(() => {
    retries = [];
    for (const name of [file, `${file}.part`]) rmSync(name, { force: true });
  });
  afterAll(async () => {
    await server.stop();
    rmSync(folder, { recursive: true });
  });

  const get = (options: Partial<DownloadOptions> = {}) =>
    download({
      url: `${url}data.bin`,
      file,
      digest,
      pauseMs: 5,
      silenceMs: 2000,
      tries: 3,
      onRetry: (reason) => retries.push(reason),
      ...options,
    });

  it('downloads a file and reports progress', async () => {
    server.next();
    const seen: [number, number | undefined][] = [];
    expect(await get({ onProgress: (...progress) => seen.push(progress) })).toEqual({
      bytes: content.length,
    });
    expect(readFileSync(file).equals(content)).toBe(true);
    expect(existsSync(`${file}.part`)).toBe(false);
    expect(seen[seen.length - 1]).toEqual([content.length, content.length]);
  });

  it('resumes after dropped connections, as long as each brings new bytes', async () => {
    server.next(
      ...[100_000, 50_000, 60_000, 70_000].map(
        (after) => ({ kind: 'drop', after, file: `${file}.part` }) as const,
      ),
    );
    await get();
    expect(readFileSync(file).equals(content)).toBe(true);
    expect(server.ranges).toEqual(['-', 'bytes=100000-', 'bytes=150000-', 'bytes=210000-', 'bytes=280000-']);
    expect(retries).toHaveLength(4);
  });

  it('drops a silent connection and resumes', async () => {
    server.next({ kind: 'stall', after: 200_000 });
    await get();
    expect(server.ranges).toEqual(['-', 'bytes=200000-']);
    expect(retries).toEqual([expect.stringMatching(/no byte for 2 s/)]);
    expect(readFileSync(file).equals(content)).toBe(true);
  });

  it('resumes the partial file of an earlier process', async () => {
    server.next();
    writeFileSync(`${file}.part`, content.subarray(0, 300_000));
    await get();
    expect(server.ranges).toEqual(['bytes=300000-']);
    expect(readFileSync(file).equals(content)).toBe(true);
    rmSync(file);
    writeFileSync(`${file}.part`, content);
    server.next();
    await get();
    expect(readFileSync(file).equals(content)).toBe(true);
  });

  it('starts over if the server ignores ranges, or the partial file is of another file', async () => {
    writeFileSync(`${file}.part`, content.subarray(0, 1000));
    server.next({ kind: 'ignore-range' });
    await get();
    expect(readFileSync(file).equals(content)).toBe(true);
    rmSync(file);
    writeFileSync(`${file}.part`, Buffer.alloc(1000, 7));
    server.next();
    await get();
    expect(server.ranges).toEqual(['bytes=1000-', '-']);
    expect(readFileSync(file).equals(content)).toBe(true);
  });

  it('downloads a corrupt file again, and fails the second time', async () => {
    server.next({ kind: 'corrupt' });
    await get();
    expect(readFileSync(file).equals(content)).toBe(true);
    rmSync(file);
    server.next({ kind: 'corrupt' }, { kind: 'corrupt' });
    await expect(get()).rejects.toMatchObject({
      code: 'CHECKSUM_MISMATCH',
      message: expect.stringMatching(/not the file that was published/),
    });
    expect([existsSync(file), existsSync(`${file}.part`)]).toEqual([false, false]);
  });

  it('retries after status 503 and 429, not after 404', async () => {
    server.next({ kind: 'status', code: 503 }, { kind: 'status', code: 429 });
    await get();
    expect(retries).toEqual(['HTTP 503 Service Unavailable', 'HTTP 429 Too Many Requests']);
    server.next();
    await expect(get({ url: `${url}other.bin` })).rejects.toMatchObject({
      code: 'DOWNLOAD_FAILED',
      message: expect.stringMatching(/other\.bin \(HTTP 404 Not Found\)/),
    });
    expect(server.ranges).toHaveLength(1);
  });

  it('gives advice if the server does not answer, and keeps the partial file', async () => {
    const closed = new FaultyServer({});
    const dead = await closed.start();
    await closed.stop();
    writeFileSync(`${file}.part`, content.subarray(0, 10));
    await expect(get({ url: `${dead}data.bin`, advice: 'give a mirror with --url' })).rejects.toMatchObject({
      code: 'DOWNLOAD_FAILED',
      message: expect.stringMatching(
        /\(ECONNREFUSED\): see whether this machine reaches the internet, .*--url/,
      ),
    });
    expect(readFileSync(`${file}.part`)).toHaveLength(10);
    expect(retries).toEqual(['ECONNREFUSED', 'ECONNREFUSED']);
  });

  describe('of a wrong file', () => {
    const size = content.length;
    const noPart = () => expect([existsSync(file), existsSync(`${file}.part`)]).toEqual([false, false]);

    it('ends if the server sends too many bytes', async () => {
      server.next({ kind: 'endless' });
      await expect(get({ size })).rejects.toMatchObject({
        code: 'CHECKSUM_MISMATCH',
        message: expect.stringContaining(`more than ${size} bytes come`),
      });
      noPart();
      server.next({ kind: 'endless' });
      await expect(get({ maxBytes: 1_000_000 })).rejects.toMatchObject({ code: 'DOWNLOAD_FAILED' });
      noPart();
      expect(server.ranges).toEqual(['-']);
    });

    it('ends before the first byte if the server claims another length', async () => {
      for (const said of [size + 1, 2 ** 50, size - 1]) {
        server.next({ kind: 'length', said });
        await expect(get({ size })).rejects.toMatchObject({
          code: 'CHECKSUM_MISMATCH',
          message: expect.stringContaining(`the server has ${said} bytes, it has ${size}`),
        });
        expect(server.ranges).toHaveLength(1);
        noPart();
      }
    });

    it('resumes if the server sends fewer bytes than it claims', async () => {
      server.next({ kind: 'drop', after: 100_000, file: `${file}.part` });
      await get({ size });
      expect(readFileSync(file).equals(content)).toBe(true);
    });

    it('gives up if the server sends only a few bytes at a time', async () => {
      const trickle = { kind: 'trickle', bytes: 20, everyMs: 100 } as const;
      server.next(trickle, trickle, trickle);
      await expect(get({ size, silenceMs: 400 })).rejects.toMatchObject({
        code: 'DOWNLOAD_FAILED',
        message: expect.stringMatching(/only \d+ bytes in 0.4 s/),
      });
      expect(server.ranges).toHaveLength(3);
    });

    it('deletes a partial file that is longer than the file', async () => {
      writeFileSync(`${file}.part`, Buffer.alloc(size + 1));
      server.next();
      await expect(get({ size })).rejects.toMatchObject({ code: 'CHECKSUM_MISMATCH' });
      noPart();
    });
  });

  it('rejects http without a checksum before any request', async () => {
    server.next();
    await expect(get({ digest: undefined })).rejects.toMatchObject({
      code: 'DOWNLOAD_FAILED',
      message: expect.stringMatching(/http:\/\/127\.0\.0\.1:\d+ is not https, and there is no checksum/),
    });
    expect(server.ranges).toEqual([]);
  });

  it('follows at most five redirects, to http and https only', async () => {
    server.next({ kind: 'redirect', to: '/data.bin' });
    await get();
    expect(readFileSync(file).equals(content)).toBe(true);
    server.next(...Array.from({ length: 20 }, () => ({ kind: 'redirect', to: '/data.bin' }) as const));
    await expect(get()).rejects.toMatchObject({ message: expect.stringContaining('more than 5 redirects') });
    expect(server.ranges).toHaveLength(6);
    server.next({ kind: 'redirect', to: 'file:///etc/passwd' });
    await expect(get()).rejects.toMatchObject({ message: expect.stringContaining('is not https') });
  });
});
