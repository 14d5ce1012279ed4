import { openSync, readSync, statSync, writeSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { openRegular } from '../../util/regular-file.js';

/** Bytes of a record before its pixels. */
const headerBytes = 32;

/** A packed file, as the threads that use it know it. */
export interface Pack {
  file: string;
  /** Number of records that it may hold; images beyond are not kept. */
  slots: number;
  /** Bytes of the pixels of one image. */
  imageBytes: number;
  /** Whether records may be added. */
  writable: boolean;
}

/**
 * Decoded pixels of a data set in one packed file, shared by threads, processes and runs.
 *
 * Image i has record i, all of one length: CRC-32 of the rest (4 bytes), zero (4), size, modification time and change
 * time of the image file (8 each), pixels. A record is written and read by one call at its own place. It counts only
 * where the checksum is right and the image file is still the one that it names. Anything else is a miss, and the
 * image is decoded and written again: a place never written, what a killed process left of a record, the mixture of
 * two writers, a block that the disk has lost, a changed image. So there is nothing to lock, to rename or to repair,
 * and a first epoch that is cut off keeps what it has decoded. Every record is made of the image file alone, so all
 * writers write the same.
 */
export class DiskCache {
  private readonly handle: number;
  private readonly record: Buffer;

  /** Opens the file, which must be there; it is closed when the thread ends. */
  constructor(private readonly pack: Pack) {
    this.handle = pack.writable ? openSync(pack.file, 'r+') : openRegular(pack.file).descriptor;
    this.record = Buffer.alloc(recordBytes(pack.imageBytes));
  }

  /**
   * The pixels of an image, valid until the next call; undefined where the cache has none for the present image file.
   */
  read(image: number, stamp: Stamp): Uint8Array | undefined {
    if (image >= this.pack.slots) return undefined;
    const { record } = this;
    const read = readSync(this.handle, record, 0, record.length, image * record.length);
    if (read < record.length || stamp.compare(record, 8, headerBytes) !== 0) return undefined;
    if (crc32(record.subarray(4)) !== record.readUInt32LE(0)) return undefined;
    return record.subarray(headerBytes);
  }

  /** Keeps an image where it has a place; throws the system's error where it cannot be written. */
  write(image: number, stamp: Stamp, pixels: Uint8Array): void {
    if (!this.pack.writable || image >= this.pack.slots) return;
    const { record } = this;
    record.fill(0, 0, headerBytes);
    record.set(stamp, 8);
    record.set(pixels, headerBytes);
    record.writeUInt32LE(crc32(record.subarray(4)), 0);
    writeSync(this.handle, record, 0, record.length, image * record.length);
  }
}

/** Bytes that an image takes in a packed file. */
export function recordBytes(imageBytes: number): number {
  return headerBytes + imageBytes;
}

/** Bytes that distinguish a file from another one, or from an earlier state, at the same path. */
export type Stamp = Buffer;

/** Size, time of the last modification and of the last change of a file. A new content always changes the last. */
export function stampOf(file: string): Stamp {
  const { size, mtimeNs, ctimeNs } = statSync(file, { bigint: true });
  const stamp = Buffer.alloc(headerBytes - 8);
  [size, mtimeNs, ctimeNs].forEach((value, at) => stamp.writeBigInt64LE(value, 8 * at));
  return stamp;
}
