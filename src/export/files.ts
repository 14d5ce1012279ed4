import { existsSync } from 'node:fs';
import { open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { messageOf, UserError } from '../util/errors.js';
import { makeFolder } from '../util/make-folder.js';

export const exportFormats = ['tfjs', 'safetensors', 'onnx'] as const;

/** Format of an exported model. */
export type ExportFormat = (typeof exportFormats)[number];

/** One file of an exported model. */
export interface ExportedFile {
  name: string;
  /** Its bytes, one part after another. */
  parts: readonly Uint8Array[];
}

/** File in every exported model; an export folder is recognised by it. */
export const descriptionName = 'classifier.json';

/**
 * Refuses a folder that is not empty; with `force` an earlier export is accepted.
 *
 * @throws UserError `EXPORT_EXISTS`
 */
export async function checkExportFolder(folder: string, force: boolean): Promise<void> {
  if (!existsSync(folder)) return;
  const names = await readdir(folder);
  if (names.length === 0) return;
  const exported = names.includes(descriptionName);
  if (exported && force) return;
  const advice = exported ? 'give another --out, or --force to replace it' : 'give another --out';
  throw new UserError(
    'EXPORT_EXISTS',
    `${folder} already holds ${exported ? 'a model' : 'files'}: ${advice}`,
  );
}

/** Writes a folder of files, whole or not at all: into a temporary one beside it, synced and then renamed. */
export async function writeExportFolder(
  folder: string,
  files: readonly ExportedFile[],
  onProgress: (done: number, total: number) => void = () => {},
): Promise<void> {
  const final = resolve(folder);
  const aside = (what: string) => join(dirname(final), `.${basename(final)}.${what}.${process.pid}`);
  const temporary = aside('new');
  const total = files.reduce((sum, file) => sum + sizeOf(file), 0);
  let done = 0;
  try {
    makeFolder(temporary);
    for (const { name, parts } of files) {
      const handle = await open(join(temporary, name), 'w');
      try {
        for (const part of parts) {
          await handle.writeFile(part);
          done += part.length;
          onProgress(done, total);
        }
        await handle.sync();
      } finally {
        await handle.close();
      }
    }
    if (existsSync(final)) await rename(final, aside('old'));
    await rename(temporary, final);
  } catch (error) {
    throw new UserError('EXPORT_FAILED', `cannot write the export ${folder}: ${messageOf(error)}`);
  } finally {
    await rm(temporary, { recursive: true, force: true });
    if (existsSync(final)) await rm(aside('old'), { recursive: true, force: true });
  }
}

/** Bytes of a file. */
export function sizeOf({ parts }: ExportedFile): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}

/** A file that goes with every model of a format. */
export async function asset(name: string): Promise<ExportedFile> {
  return { name, parts: [await readFile(new URL(`./assets/${name}`, import.meta.url))] };
}

/** A JSON file, indented for people. */
export function jsonFile(name: string, value: unknown): ExportedFile {
  return { name, parts: [Buffer.from(`${JSON.stringify(value, null, 2)}\n`)] };
}
