import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import crc32c from 'crc-32/crc32c.js';
import { closeSync, constants, ftruncateSync, readdirSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { largest } from '../../util/extremes.js';
import { makeFolder } from '../../util/make-folder.js';
import { openRegular } from '../../util/regular-file.js';

/** One event of `tensorflow/core/util/event.proto`. */
export interface Event {
  /** Milliseconds since 1970. */
  time: number;
  step: number;
  what: { version: string } | { summary: Uint8Array } | { begins: true };
}

/**
 * A file of events that TensorBoard reads:
 *
 *     length, 8 bytes | masked CRC-32C of these, 4 | event, a message of protocol buffers | masked CRC-32C of it, 4
 *
 * all little-endian. The events of one call are appended by one write, so that a process that ends leaves whole records and
 * at most one that is cut short, at the end, where readers stop. TensorBoard reads the files of a folder in the order of
 * their names; each process that follows a run has a file of its own.
 */
export class EventFile {
  private readonly file: number;
  private bytes = 0;

  /** Makes the next file of the folder, `events.out.tfevents.<seconds>.<host>.<process>`. */
  constructor(folder: string) {
    makeFolder(folder);
    const earlier = readdirSync(folder).map((name) =>
      Number(/^events\.out\.tfevents\.(\d+)\./.exec(name)?.[1] ?? 0),
    );
    const seconds = Math.max(Math.floor(Date.now() / 1000), 1 + largest([0, ...earlier]));
    const name = `events.out.tfevents.${String(seconds).padStart(10, '0')}.${hostname()}.${process.pid}`;
    const { O_WRONLY, O_CREAT, O_EXCL } = constants;
    this.file = openRegular(join(folder, name), O_WRONLY | O_CREAT | O_EXCL).descriptor;
  }

  /** Appends events; where that fails the file is as before. */
  append(events: readonly Event[]): void {
    const records = Buffer.concat(events.flatMap((event) => record(encode(event))));
    try {
      for (let done = 0; done < records.length;)
        done += writeSync(this.file, records, done, records.length - done, this.bytes + done);
      this.bytes += records.length;
    } catch (error) {
      ftruncateSync(this.file, this.bytes);
      throw error;
    }
  }

  close(): void {
    closeSync(this.file);
  }
}

function record(event: Uint8Array): Uint8Array[] {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(event.length));
  return [length, masked(length), event, masked(event)];
}

/** A masked CRC-32C, as TFRecord has it: a CRC over bytes that contain a plain CRC would be weak. */
function masked(bytes: Uint8Array): Buffer {
  const crc = crc32c.buf(bytes) >>> 0;
  const rotated = ((crc >>> 15) | (crc << 17)) >>> 0;
  const result = Buffer.alloc(4);
  result.writeUInt32LE((rotated + 0xa282ead8) % 2 ** 32);
  return result;
}

const sessionStart = 1;

function encode({ time, step, what }: Event): Uint8Array {
  const writer = new BinaryWriter();
  writer.tag(1, WireType.Bit64).double(time / 1000);
  if (step !== 0) writer.tag(2, WireType.Varint).int64(step);
  if ('version' in what) writer.tag(3, WireType.LengthDelimited).string(what.version);
  else if ('summary' in what) writer.tag(5, WireType.LengthDelimited).bytes(what.summary);
  else writer.tag(7, WireType.LengthDelimited).fork().tag(1, WireType.Varint).int32(sessionStart).join();
  return writer.finish();
}
