import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** Descriptors of the file that this rank keeps, and of the one of the rank before it (of rank 0 the last one). */
export interface KeptFiles {
  own: number;
  before: number;
}

/** Makes an empty file for what a rank keeps; false where it cannot be made. */
export function makeKeptFile(directory: string, rank: number): boolean {
  try {
    closeSync(openSync(pathOf(directory, rank), 'wx', 0o600));
    return true;
  } catch {
    return false;
  }
}

/** Opens this rank's file and that of the rank before it, once all are made. */
export function openKeptFiles(directory: string, rank: number, worldSize: number): KeptFiles {
  const before = (rank + worldSize - 1) % worldSize;
  return {
    own: openSync(pathOf(directory, rank), 'r+'),
    before: openSync(pathOf(directory, before), 'r'),
  };
}

export function closeKeptFiles({ own, before }: KeptFiles): void {
  closeSync(own);
  closeSync(before);
}

/**
 * A file without a name, in memory where the meeting folder is: it lives as long as anybody has it open. So what a rank
 * writes into it outlives the rank, as the next rank of its host can read it; and when both have ended, nothing is left.
 */
export class KeptFile {
  private readonly descriptor: number;

  /** Takes up a file that another thread of this process has opened, and closes when it likes. */
  constructor(descriptor: number, mode: 'r+' | 'r') {
    this.descriptor = openSync(`/dev/fd/${descriptor}`, mode);
  }

  write(position: number, values: NodeJS.ArrayBufferView): void {
    for (let done = 0; done < values.byteLength;)
      done += writeSync(this.descriptor, values, done, values.byteLength - done, position + done);
  }

  /** Reads into all of `values`; false where the file ends before that. */
  read(position: number, values: NodeJS.ArrayBufferView): boolean {
    for (let done = 0; done < values.byteLength;) {
      const got = readSync(this.descriptor, values, done, values.byteLength - done, position + done);
      if (got === 0) return false;
      done += got;
    }
    return true;
  }

  close(): void {
    closeSync(this.descriptor);
  }
}

function pathOf(directory: string, rank: number): string {
  return join(directory, `${rank}.kept`);
}
