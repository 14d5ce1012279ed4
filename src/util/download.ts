import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { setTimeout as pause } from 'node:timers/promises';
import { messageOf, PodDistError } from './errors.js';
import { openRegularHandle } from './regular-file.js';

export interface Digest {
  algorithm: 'sha256';
  hex: string;
}

export interface DownloadOptions {
  url: string;
  /** Path of the file once it is whole and right; until then it grows beside it, with the ending `.part`. */
  file: string;
  /**
   * Expected digest of the file; without it, any file that comes over https is taken, and an earlier part is not
   * continued.
   */
  digest?: Digest;
  /** Bytes of the file as it was published; nothing longer or shorter is taken. */
  size?: number;
  /** Most bytes that are taken where the size is not known; default 4 GiB. */
  maxBytes?: number;
  /** Advice to the user where the address cannot be reached, such as `give a mirror with --url`. */
  advice?: string;
  /** Milliseconds without a byte, or with fewer than 1 KiB a second, before a connection is given up; default 30,000. */
  silenceMs?: number;
  /** Tries in a row that bring nothing new, before the download fails; default 5. */
  tries?: number;
  /** Milliseconds before the second try, doubled after each; default 1,000. */
  pauseMs?: number;
  /** Called with the bytes received, and the bytes in all where the server says. */
  onProgress?(received: number, total: number | undefined): void;
  /** Called with the reason before a connection is tried again. */
  onRetry?(reason: string): void;
}

/** A failure for which a retry is useless. */
class Refused extends Error {}

/** The server sent another file than the wanted one: the bytes received so far are thrown away. */
class WrongSize extends Refused {}

const slowestBytesPerSecond = 1024;
/** Bytes of a connection; fewer do not count as progress. */
const leastProgress = 32 * 1024;
const mostRedirects = 5;

/**
 * Downloads one file over HTTP, going on where an interrupted one has stopped.
 *
 * Each connection asks for the bytes that are missing (Range) and appends what comes; it is given up after `silenceMs`
 * without a byte or with too few. A connection that ends early, stalls or gets a server's error is tried again after a
 * pause, as long as one in `tries` brings something new. More bytes than the file has, or than `maxBytes`, end it. The
 * whole is compared with its checksum before it gets its name; a wrong one is thrown away and fetched from its first
 * byte once more. Without a checksum, http is refused, also where a redirect leads to it.
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

/** Whether a file is there and has this digest. */
export async function hasDigest(file: string, { algorithm, hex }: Digest): Promise<boolean> {
  const hash = createHash(algorithm);
  try {
    await pipeline((await openRegularHandle(file)).createReadStream(), hash);
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
      const reason = reasonOf(error);
      if (error instanceof WrongSize) {
        await rm(part, { force: true });
        throw new PodDistError(
          options.size === undefined ? 'DOWNLOAD_FAILED' : 'CHECKSUM_MISMATCH',
          `${url} is not the file that was published (${reason}): try again later${adviceOf(options)}`,
        );
      }
      if ((await sizeOf(part)) - before >= leastProgress) failures = 0;
      failures++;
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
  const { silenceMs = 30_000, size, maxBytes = 2 ** 32, onProgress } = options;
  const most = size ?? maxBytes;
  if (start > most) throw new WrongSize(`${start} bytes have come, it has ${most}`);
  const stop = new AbortController();
  const silence = () => stop.abort(new Error(`no byte for ${silenceMs / 1000} s`));
  let timer = setTimeout(silence, silenceMs);
  let received = start;
  let counted = start;
  const least = Math.floor((slowestBytesPerSecond * silenceMs) / 1000);
  const speed = setInterval(() => {
    if (received - counted < least)
      stop.abort(new Error(`only ${received - counted} bytes in ${silenceMs / 1000} s`));
    counted = received;
  }, silenceMs);
  try {
    const response = await request(options, start, stop.signal);
    const first = await firstByte(response, start);
    if (first === undefined) {
      if (size !== undefined && start < size)
        throw new WrongSize(`the server has ${start} bytes, it has ${size}`);
      return;
    }
    const length = response.headers.get('content-length');
    const total = length === null ? undefined : first + Number(length);
    if (total !== undefined && (total > most || (size !== undefined && total < size)))
      throw new WrongSize(
        `the server has ${total} bytes, ${size === undefined ? 'the most is' : 'it has'} ${most}`,
      );
    received = counted = first;
    const { O_WRONLY, O_CREAT, O_TRUNC, O_APPEND } = constants;
    const handle = await openRegularHandle(part, O_WRONLY | O_CREAT | (first === 0 ? O_TRUNC : O_APPEND));
    try {
      for await (const chunk of Readable.fromWeb(
        response.body as ReadableStream,
      ) as AsyncIterable<Uint8Array>) {
        clearTimeout(timer);
        timer = setTimeout(silence, silenceMs);
        received += chunk.length;
        if (received > most) throw new WrongSize(`more than ${most} bytes come`);
        await handle.writeFile(chunk);
        onProgress?.(received, total ?? size);
      }
      await handle.sync();
    } finally {
      await handle.close();
    }
    const whole = size ?? total;
    if (whole !== undefined && received < whole)
      throw new Error(`it ended after ${received} of ${whole} bytes`);
  } finally {
    clearTimeout(timer);
    clearInterval(speed);
    stop.abort();
  }
}

/** Asks for the bytes from `start` on, following redirects to addresses that may be used. */
async function request(
  { url, digest }: DownloadOptions,
  start: number,
  signal: AbortSignal,
): Promise<Response> {
  const headers: Record<string, string> = { 'accept-encoding': 'identity' };
  if (start > 0) headers.range = `bytes=${start}-`;
  let address = new URL(url);
  for (let redirects = 0; ; redirects++) {
    if (address.protocol !== 'https:' && !(address.protocol === 'http:' && digest))
      throw new Refused(`${address.origin} is not https, and there is no checksum to tell what comes`);
    const response = await fetch(address, { headers, signal, redirect: 'manual' });
    const location = response.headers.get('location');
    if (response.status < 300 || response.status >= 400 || location === null) return response;
    await response.body?.cancel();
    if (redirects === mostRedirects) throw new Refused(`more than ${mostRedirects} redirects`);
    address = new URL(location, address);
  }
}

/** Position of the response's first byte in the file; undefined where nothing is missing. */
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
