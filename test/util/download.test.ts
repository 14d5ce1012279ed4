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

  it('fetches a file and reports bytes as they come', async () => {
    server.next();
    const seen: [number, number | undefined][] = [];
    expect(await get({ onProgress: (...progress) => seen.push(progress) })).toEqual({
      bytes: content.length,
    });
    expect(readFileSync(file).equals(content)).toBe(true);
    expect(existsSync(`${file}.part`)).toBe(false);
    expect(seen[seen.length - 1]).toEqual([content.length, content.length]);
  });

  it('goes on where a connection was dropped, as often as that brings something new', async () => {
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

  it('gives up a connection that stays silent, and goes on', async () => {
    server.next({ kind: 'stall', after: 200_000 });
    await get();
    expect(server.ranges).toEqual(['-', 'bytes=200000-']);
    expect(retries).toEqual([expect.stringMatching(/no byte for 2 s/)]);
    expect(readFileSync(file).equals(content)).toBe(true);
  });

  it('goes on with the part of an earlier process', async () => {
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

  it('starts over where the server knows no ranges, or the earlier part is of another file', async () => {
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

  it('fetches a corrupt file once more, and refuses it the second time', async () => {
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

  it('tries again after a server error, not after a refusal', async () => {
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

  it('says what to do where nothing answers, and keeps what has come', async () => {
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

  describe('of what is not the file', () => {
    const size = content.length;
    const noPart = () => expect([existsSync(file), existsSync(`${file}.part`)]).toEqual([false, false]);

    it('ends when a server sends without end', async () => {
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

    it('ends before the first byte where the length that a server says is another', async () => {
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

    it('goes on where a server sends less than it says', async () => {
      server.next({ kind: 'drop', after: 100_000, file: `${file}.part` });
      await get({ size });
      expect(readFileSync(file).equals(content)).toBe(true);
    });

    it('gives up servers that send a few bytes now and then', async () => {
      const trickle = { kind: 'trickle', bytes: 20, everyMs: 100 } as const;
      server.next(trickle, trickle, trickle);
      await expect(get({ size, silenceMs: 400 })).rejects.toMatchObject({
        code: 'DOWNLOAD_FAILED',
        message: expect.stringMatching(/only \d+ bytes in 0.4 s/),
      });
      expect(server.ranges).toHaveLength(3);
    });

    it('throws away a part that is longer than the file', async () => {
      writeFileSync(`${file}.part`, Buffer.alloc(size + 1));
      server.next();
      await expect(get({ size })).rejects.toMatchObject({ code: 'CHECKSUM_MISMATCH' });
      noPart();
    });
  });

  it('refuses http where there is no checksum, before it asks for anything', async () => {
    server.next();
    await expect(get({ digest: undefined })).rejects.toMatchObject({
      code: 'DOWNLOAD_FAILED',
      message: expect.stringMatching(/http:\/\/127\.0\.0\.1:\d+ is not https, and there is no checksum/),
    });
    expect(server.ranges).toEqual([]);
  });

  it('follows redirects, but not for ever, and to nothing but http and https', async () => {
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
