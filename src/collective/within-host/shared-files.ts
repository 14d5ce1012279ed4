import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** A window of values passes through a rank's file at a time; a file holds two. */
export const windowBytes = 1_048_576;

/** Makes a rank's file, all of it in memory or on the disk already: later writes find room. False where there is none. */
export function makeSharedFile(directory: string, rank: number): boolean {
  try {
    const file = openSync(pathOf(directory, rank), 'wx', 0o600);
    try {
      const zeros = Buffer.alloc(2 * windowBytes);
      return writeSync(file, zeros) === zeros.length;
    } finally {
      closeSync(file);
    }
  } catch {
    return false;
  }
}

/** Descriptors of every rank's file, once all are made; only the own one is written. */
export function openSharedFiles(directory: string, rank: number, worldSize: number): number[] {
  return Array.from({ length: worldSize }, (_, peer) =>
    openSync(pathOf(directory, peer), peer === rank ? 'r+' : 'r'),
  );
}

function pathOf(directory: string, rank: number): string {
  return join(directory, `${rank}.values`);
}
