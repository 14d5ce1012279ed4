import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, existsSync, statSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { messageOf } from '../../errors.js';

export interface Download {
  url: string;
  /** Where the whole file goes; what has come so far is beside it, with `.part` at the end. */
  file: string;
  /** SHA-256 in hex; without one only the size is checked. */
  sha256?: string;
  /** Told how many bytes of how many (0: not known) are here. */
  onProgress?(bytes: number, total: number): void;
  /** Without a byte for so long an attempt is given up; default 30 s. */
  stallMs?: number;
}

const attempts = 5;

/**
 * Fetches a file. An interrupted download goes on where it stopped, in the next attempt or the next run; a file whose
 * checksum is wrong is fetched once more from the start. The file appears under its name only when it is whole.
 *
 * @throws Error after five attempts, with the last one's reason
 */
export async function download(options: Download): Promise<void> {
  const { url, file, sha256 } = options;
  if (existsSync(file) && (!sha256 || (await digestOf(file)) === sha256)) return;
  await mkdir(dirname(file), { recursive: true });
  const part = `${file}.part`;
  let reason = '';
  for (let attempt = 0; attempt < attempts; attempt++) {
    if (attempt > 0) await new Promise((resolve) => setTimeout(resolve, 200 * attempt));
    try {
      await fetchRest(options, part);
    } catch (error) {
      reason = messageOf(error);
      continue;
    }
    if (!sha256 || (await digestOf(part)) === sha256) {
      await rename(part, file);
      return;
    }
    reason = 'its checksum is wrong';
    await rm(part, { force: true });
  }
  throw new Error(`${url} could not be fetched: ${reason}`);
}

async function fetchRest({ url, onProgress, stallMs = 30_000 }: Download, part: string): Promise<void> {
  let have = existsSync(part) ? statSync(part).size : 0;
  const stop = new AbortController();
  const stalled = () => stop.abort(new Error(`no byte for ${stallMs / 1000} s`));
  let timer = setTimeout(stalled, stallMs);
  try {
    const headers: Record<string, string> = have > 0 ? { Range: `bytes=${have}-` } : {};
    const response = await fetch(url, { headers, signal: stop.signal });
    const complete = response.headers.get('content-range')?.split('/')[1];
    if (response.status === 416 && have > 0 && Number(complete) === have) return;
    if (!response.ok || !response.body) throw new Error(`the server answers ${response.status}`);
    const resumed = response.status === 206;
    if (!resumed) have = 0;
    const total = have + Number(response.headers.get('content-length') ?? 0);
    const known = response.headers.has('content-length');
    const body = Readable.fromWeb(response.body as never);
    body.on('data', (chunk: Buffer) => {
      have += chunk.length;
      clearTimeout(timer);
      timer = setTimeout(stalled, stallMs);
      onProgress?.(have, known ? total : 0);
    });
    await pipeline(body, createWriteStream(part, { flags: resumed ? 'a' : 'w' }), { signal: stop.signal });
    if (known && have !== total) throw new Error(`${have} of ${total} bytes came`);
  } catch (error) {
    throw stop.signal.aborted ? (stop.signal.reason as Error) : error;
  } finally {
    clearTimeout(timer);
  }
}

async function digestOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}
