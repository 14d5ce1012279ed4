import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { UserError } from '../util/errors.js';
import { openRegularHandle, reasonOf } from '../util/regular-file.js';

/** Most bytes of a file: known before it is read, or computed from its first bytes (at least `headBytes`). */
export type MostBytes = number | ((head: Buffer) => number);

/** Bytes at the start of a file that `MostBytes` is called with. */
export const headBytes = 16;

/**
 * Bytes of a data file, or of the same file compressed beside it with the ending `.gz`. Reading and inflating stop at
 * more than `most` bytes.
 *
 * @throws UserError `DATA_NOT_FOUND` where neither is there, `DATA_INVALID` where it cannot be read or unpacked, or is
 *   too long
 */
export async function readDataFile(file: string, most: MostBytes): Promise<Buffer> {
  for (const name of [file, `${file}.gz`]) {
    try {
      return await readAtMost(name, name === file ? undefined : createGunzip(), most);
    } catch (error) {
      if (error instanceof UserError) throw error;
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue;
      throw new UserError('DATA_INVALID', `${name} cannot be read (${reasonOf(error)}): fetch it again`);
    }
  }
  throw new UserError('DATA_NOT_FOUND', `no file ${file}: give the folder of the data set as data.root`);
}

async function readAtMost(
  file: string,
  inflate: NodeJS.ReadWriteStream | undefined,
  most: MostBytes,
): Promise<Buffer> {
  const content = (await openRegularHandle(file)).createReadStream();
  if (inflate) content.once('error', (error) => (inflate as unknown as Readable).destroy(error));
  const stream = (inflate ? content.pipe(inflate) : content) as Readable;
  const chunks: Buffer[] = [];
  let length = 0;
  let limit = typeof most === 'number' ? most : undefined;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      length += chunk.length;
      if (limit === undefined && length >= headBytes) limit = bytesToldBy(most, chunks);
      if (limit !== undefined && length > limit)
        throw new UserError(
          'DATA_INVALID',
          `${file} has more than the ${limit} bytes that it may: fetch it again`,
        );
    }
  } finally {
    content.destroy();
  }
  const bytes = Buffer.concat(chunks);
  if (limit === undefined) bytesToldBy(most, [bytes]);
  return bytes;
}

function bytesToldBy(most: MostBytes, chunks: readonly Buffer[]): number {
  return typeof most === 'number' ? most : most(Buffer.concat(chunks));
}

/** Like `readDataFile`, for a text of one name a line, of 1 MiB at most. */
export async function readNames(file: string): Promise<string[]> {
  const lines = (await readDataFile(file, 2 ** 20)).toString('utf8').split('\n');
  return lines.map((line) => line.trim()).filter((line) => line !== '');
}
