import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { PodDistError } from '../../util/errors.js';

/** Payloads that a rank may have under way in one round; a file holds two rounds. */
export const roundBytes = 1_048_576;

const zeros = Buffer.alloc(65_536);

/** Makes a rank's file, all of it in memory or on the disk already: later writes find room. False where there is none. */
export function makeSharedFile(directory: string, rank: number): boolean {
  try {
    const file = openSync(pathOf(directory, rank), 'wx', 0o600);
    try {
      for (let done = 0; done < 2 * roundBytes; done += zeros.length)
        if (writeSync(file, zeros) < zeros.length) return false;
      return true;
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

/**
 * Where a rank puts long payloads. Rounds take turns in the two halves of the file.
 *
 * Why a half is free when its turn comes: in each round a rank sends every other one message and receives one of each. So
 * a rank begins round k + 2 when it has every rank's message of round k + 1, and a rank sends that after it has read all
 * of round k.
 */
export class SharedFile {
  private half = 0;
  private used = 0;
  private last: { payload: Uint8Array; position: number } | undefined;

  constructor(private readonly descriptor: number) {}

  beginRound(): void {
    this.half ^= 1;
    this.used = 0;
    this.last = undefined;
  }

  /** Writes a payload; returns where it lies. The same array, given again for another peer, is not written again. */
  write(payload: Uint8Array): number {
    if (this.last?.payload === payload) return this.last.position;
    if (this.used + payload.length > roundBytes)
      throw new PodDistError(
        'COLLECTIVE_FAILED',
        `a payload of ${payload.length} bytes does not fit into the shared file of ${2 * roundBytes}`,
      );
    const position = this.half * roundBytes + this.used;
    for (let done = 0; done < payload.length;)
      done += writeSync(this.descriptor, payload, done, payload.length - done, position + done);
    this.used += payload.length;
    this.last = { payload, position };
    return position;
  }
}

/** Reads what a peer has written to its file. */
export function readShared(descriptor: number, into: Uint8Array, position: number, peer: number): void {
  for (let done = 0; done < into.length;) {
    const got = readSync(descriptor, into, done, into.length - done, position + done);
    if (got === 0)
      throw new PodDistError('COLLECTIVE_FAILED', `the shared file of rank ${peer} has been cut short`);
    done += got;
  }
}

function pathOf(directory: string, rank: number): string {
  return join(directory, `${rank}.values`);
}
