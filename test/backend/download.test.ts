import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { download } from '../../src/backend/native/download.js';

const content = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 7919) % 251));
const sha256 = createHash('sha256').update(content).digest('hex');

describe('download', () => {
  let folder: string;
  let file: string;
  let server: Server | undefined;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
    file = join(folder, 'cache', 'wheel');
  });
  afterEach(() => {
    server?.closeAllConnections();
    server?.close();
    rmSync(folder, { recursive: true });
  });

  async function serve(
    answer: (request: IncomingMessage, response: ServerResponse) => void,
  ): Promise<string> {
    server = createServer(answer);
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/wheel`;
  }

  /** Answers ranges, and cuts the connection after `most` bytes. */
  function pieces(most: number, ranges: (string | undefined)[]) {
    return (request: IncomingMessage, response: ServerResponse) => {
      ranges.push(request.headers.range);
      const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
      const rest = content.subarray(start);
      const range = `bytes ${start}-${content.length - 1}/${content.length}`;
      response.writeHead(start > 0 ? 206 : 200, { 'content-length': rest.length, 'content-range': range });
      response.write(rest.subarray(0, most), () => {
        if (rest.length > most) response.destroy();
        else response.end();
      });
    };
  }

  it('goes on where a broken connection stopped, and tells how far it is', async () => {
    const ranges: (string | undefined)[] = [];
    const url = await serve(pieces(120_000, ranges));
    const seen: number[] = [];
    await download({ url, file, sha256, onProgress: (bytes, total) => seen.push(bytes / total) });
    expect(readFileSync(file).equals(content)).toBe(true);
    expect(ranges[0]).toBeUndefined();
    expect(ranges.slice(1).every((range) => /^bytes=[1-9]/.test(range ?? ''))).toBe(true);
    expect(seen.at(-1)).toBe(1);
    expect(existsSync(`${file}.part`)).toBe(false);
  });

  it('takes what an earlier run left, and asks for nothing once the file is whole', async () => {
    const ranges: (string | undefined)[] = [];
    const url = await serve(pieces(1e9, ranges));
    await download({ url, file, sha256 });
    rmSync(file);
    writeFileSync(`${file}.part`, content.subarray(0, 1000));
    await download({ url, file, sha256 });
    await download({ url, file, sha256 });
    expect(ranges).toEqual([undefined, 'bytes=1000-']);
    expect(readFileSync(file).equals(content)).toBe(true);
  });

  it('starts again where the bytes are wrong', async () => {
    const url = await serve(pieces(1e9, []));
    await download({ url, file: join(folder, 'other') });
    writeFileSync(`${join(folder, 'bad')}.part`, Buffer.alloc(5000, 1));
    await download({ url, file: join(folder, 'bad'), sha256 });
    expect(readFileSync(join(folder, 'bad')).equals(content)).toBe(true);
  });

  it('gives up on a server that falls silent, naming the address and the reason', async () => {
    const url = await serve(
      (_request, response) => void response.writeHead(200, { 'content-length': 10 }).write('x'),
    );
    await expect(download({ url, file, stallMs: 100 })).rejects.toThrow(
      `${url} could not be fetched: no byte for 0.1 s`,
    );
    expect(existsSync(file)).toBe(false);
  });
});
