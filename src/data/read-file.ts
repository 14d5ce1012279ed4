import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { messageOf, UserError } from '../errors.js';

/**
 * The bytes of a data file, or of the same file compressed beside it with the ending `.gz`.
 *
 * @throws UserError `DATA_NOT_FOUND` where neither is there, `DATA_INVALID` where it cannot be read or unpacked
 */
export async function readDataFile(file: string): Promise<Buffer> {
  const compressed = `${file}.gz`;
  if (existsSync(file)) return attempt(file, () => readFile(file));
  if (existsSync(compressed)) {
    return attempt(compressed, async () => promisify(gunzip)(await readFile(compressed)));
  }
  throw new UserError('DATA_NOT_FOUND', `no file ${file}: give the folder of the data set as data.root`);
}

/** Like `readDataFile`, for a text of one name a line. */
export async function readNames(file: string): Promise<string[]> {
  const lines = (await readDataFile(file)).toString('utf8').split('\n');
  return lines.map((line) => line.trim()).filter((line) => line !== '');
}

async function attempt(file: string, read: () => Promise<Buffer>): Promise<Buffer> {
  try {
    return await read();
  } catch (error) {
    throw new UserError('DATA_INVALID', `${file} cannot be read (${messageOf(error)}): fetch it again`);
  }
}
