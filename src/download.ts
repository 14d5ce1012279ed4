import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { setTimeout as pause } from 'node:timers/promises';
import { messageOf, PodDistError } from './errors.js';

export interface Digest {
  algorithm: 'md5' | 'sha256';
  hex: string;
}

export interface DownloadOptions {
  url: string;
  /** Where the file goes once it is whole and right; until then it grows beside it, with the ending `.part`. */
  file: string;
  /** What the file must be; left out, whatever comes is taken, and an earlier part is not gone on with. */
  digest?: Digest;
  /** What else a user can do where the address cannot be reached, such as `give a mirror with --url`. */
  advice?: string;
  /** Milliseconds without a byte before a connection is given up; default 30,000. */
  silenceMs?: number;
  /** Tries in a row that bring nothing new, before it fails; default 5. */
  tries?: number;
  /** Milliseconds before the second try, doubled after each; default 1,000. */
  pauseMs?: number;
  /** Bytes there, and bytes in all where the server says. */
  onProgress?(received: number, total: number | undefined): void;
  /** Told why a connection is tried again. */
  onRetry?(reason: string): void;
}

/** A failure that trying again does not mend. */
class Refused extends Error {}

/**
 * Downloads one file over HTTP, going on where an interrupted one has stopped.
 *
 * Each connection asks for the bytes that are missing (Range) and appends what comes; it is given up after `silenceMs`
 * without a byte. A connection that ends early, stalls or gets a server's error is tried again after a pause, as long
 * as one in `tries` brings something new. The whole is compared with its checksum before it gets its name; a wrong one
 * is thrown away and fetched from its first byte once more.
 *
 * @throws PodDistError `DOWNLOAD_FAILED` or `CHECKSUM_MISMATCH`, naming the address and what to do
 */
export async function download(options: DownloadOptions): Promise<{ bytes: number }> {
  const { url, file, digest } = options;
  const part = `${file}.part`;
  await mkdir(dirname(file), { recursive: true });
  if (!digest) await rm(part, { force: true });
  for (const last of [false, true]) {
    await fetchWhole(options, part);
    if (!digest || (await hasDigest(part, digest))) break;
    await rm(part, { force: true });
    if (last) {
      throw new PodDistError(
        'CHECKSUM_MISMATCH',
        `${url} is not the file that was published (its ${digest.algorithm.toUpperCase()} is not ${digest.hex}), twice: try again later${adviceOf(options)}`,
      );
    }
    options.onRetry?.('the checksum is wrong, starting over');
  }
  await rename(part, file);
  return { bytes: await sizeOf(file) };
}

/** Whether a file is there and what it must be. */
export async function hasDigest(file: string, { algorithm, hex }: Digest): Promise<boolean> {
  const hash = createHash(algorithm);
  try {
    await pipeline(createReadStream(file), hash);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
  return hash.digest('hex') === hex;
}

function adviceOf({ advice }: DownloadOptions): string {
  return advice ? `, or ${advice}` : '';
}

async function fetchWhole(options: DownloadOptions, part: string): Promise<void> {
  const { url, tries = 5, pauseMs = 1000, onRetry } = options;
  let failures = 0;
  for (;;) {
    const before = await sizeOf(part);
    try {
      return await fetchRest(options, part, before);
    } catch (error) {
      if ((await sizeOf(part)) > before) failures = 0;
      failures++;
      const reason = reasonOf(error);
      if (error instanceof Refused || failures >= tries) {
        throw new PodDistError(
          'DOWNLOAD_FAILED',
          `cannot download ${url} (${reason}): see whether this machine reaches the internet${adviceOf(options)}; what has come so far is kept`,
          { cause: error },
        );
      }
      onRetry?.(reason);
      await pause(pauseMs * 2 ** (failures - 1));
    }
  }
}

/** One connection: appends the bytes from `start` on to the part file; rejects unless it ends whole. */
async function fetchRest(options: DownloadOptions, part: string, start: number): Promise<void> {
  const { url, silenceMs = 30_000, onProgress } = options;
  const stop = new AbortController();
  const silence = () => stop.abort(new Error(`no byte for ${silenceMs / 1000} s`));
  let timer = setTimeout(silence, silenceMs);
  try {
    const headers: Record<string, string> = { 'accept-encoding': 'identity' };
    if (start > 0) headers.range = `bytes=${start}-`;
    const response = await fetch(url, { headers, signal: stop.signal });
    const first = await firstByte(response, start);
    if (first === undefined) return;
    const length = response.headers.get('content-length');
    const total = length === null ? undefined : first + Number(length);
    let received = first;
    const handle = await open(part, first === 0 ? 'w' : 'a');
    try {
      for await (const chunk of Readable.fromWeb(
        response.body as ReadableStream,
      ) as AsyncIterable<Uint8Array>) {
        clearTimeout(timer);
        timer = setTimeout(silence, silenceMs);
        await handle.writeFile(chunk);
        received += chunk.length;
        onProgress?.(received, total);
      }
      await handle.sync();
    } finally {
      await handle.close();
    }
    if (total !== undefined && received < total)
      throw new Error(`it ended after ${received} of ${total} bytes`);
  } finally {
    clearTimeout(timer);
    stop.abort();
  }
}

/** Where the response's bytes belong; undefined where nothing is missing. */
async function firstByte(response: Response, start: number): Promise<number | undefined> {
  const range = response.headers.get('content-range') ?? '';
  if (response.status === 200) return 0;
  if (response.status === 206 && range.startsWith(`bytes ${start}-`)) return start;
  if (response.status === 416 && range === `bytes */${start}`) return undefined;
  const answer = `HTTP ${response.status} ${response.statusText}`.trim();
  const passing = response.status >= 500 || [206, 408, 416, 429].includes(response.status);
  throw passing ? new Error(answer) : new Refused(answer);
}

function reasonOf(error: unknown): string {
  const { cause } = error as { cause?: unknown };
  const code = (cause as { code?: string } | undefined)?.code;
  return code ?? messageOf(cause ?? error);
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch {
    return 0;
  }
}
