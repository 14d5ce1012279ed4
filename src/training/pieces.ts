import { crc32 } from 'node:zlib';
import type { Communicator, Numbers, Pending } from '../collective/communicator.js';
import { KeptFile } from '../transport/host/kept-file.js';
import { PodDistError } from '../util/errors.js';
import { present } from '../util/present.js';

/** Owner of a piece: this rank, or the rank before it (before rank 0 comes the last rank). */
type Owner = 'own' | 'before';

/**
 * The pieces of a rank's last two snapshots of one configuration, and those of the rank before it: what each rank alone
 * has of a training, so that no single loss of a rank loses anything. A piece takes the place of the one before the last.
 *
 * Why two places suffice: every rank takes the same snapshots, with a step in between in which all have part. So a rank
 * that writes over snapshot k - 2 knows that every rank has snapshot k - 1, with the piece of the rank before.
 */
export interface Pieces {
  /** Keeps this rank's piece of snapshot `at`, and lets the next rank have it. */
  put(at: number, parts: readonly Numbers[]): Promise<void>;
  /** Ends the exchange with other ranks; after it nothing more is put. */
  settle(): void;
  /** Whether the piece of the rank before is there. */
  hasCopy(at: number): boolean;
  /**
   * A piece of snapshot `at`, of `length` float32.
   *
   * @throws PodDistError `SILENT_CORRUPTION` where it is not what was put
   */
  get(at: number, whose: Owner, length: number): Float32Array;
  close(): void;
}

/** Places for pieces of at most `longest` float32; every rank calls it. */
export async function openPieces(communicator: Communicator, longest: number): Promise<Pieces> {
  const { kept } = communicator;
  if (!kept) return new SentPieces(communicator, longest);
  const files = KeptPieces.open(kept, longest);
  const missing = Float64Array.of(files ? 0 : 1);
  await communicator.allReduce(missing, { op: 'max', tag: 'snapshot/room' });
  if (files && missing[0] === 0) return files;
  files?.close();
  return new SentPieces(communicator, longest);
}

/** At the head of each place: the snapshot, the length of its piece in bytes, and a checksum of it. */
interface Head {
  at: number;
  bytes: number;
  checksum: number;
}

const headNumbers = 3;
const headBytes = 8 * headNumbers;

/** The snapshot of a place that is being written, or empty. */
const nothing = -1;

/** The head of a place: its numbers in their order. */
function readHead([at = nothing, bytes = 0, checksum = 0]: Float64Array): Head {
  return { at, bytes, checksum };
}

function headOf(at: number, parts: readonly Numbers[], room: number): Float64Array {
  const bytes = parts.reduce((sum, { byteLength }) => sum + byteLength, 0);
  if (bytes > room) throw new RangeError(`a piece of ${bytes} bytes is longer than its place of ${room}`);
  const checksum = parts.reduce((sum, part) => crc32(part, sum), 0);
  return Float64Array.of(at, bytes, checksum);
}

function checked(values: Float32Array, { at, bytes, checksum }: Head): Float32Array {
  if (bytes === values.byteLength && crc32(values) === checksum) return values;
  throw new PodDistError(
    'SILENT_CORRUPTION',
    `what a rank has kept in memory of snapshot ${at} is not what was put there: memory is at fault; --resume goes on from a checkpoint`,
  );
}

/**
 * Pieces in files that outlive their rank: each rank writes its own, and the next rank of the host reads it if it is ever
 * needed. Nothing is sent and no rank waits; k shards of P / N weights are copied once.
 */
class KeptPieces implements Pieces {
  private turn = 0;

  private constructor(
    private readonly files: Readonly<Record<Owner, KeptFile>>,
    private readonly placeBytes: number,
  ) {}

  /** Undefined where the file has no room. */
  static open(kept: NonNullable<Communicator['kept']>, longest: number): KeptPieces | undefined {
    const placeBytes = headBytes + 4 * longest;
    const own = new KeptFile(kept.own, 'r+');
    const pieces = new KeptPieces({ own, before: new KeptFile(kept.before, 'r') }, placeBytes);
    try {
      const empty = new Uint8Array(placeBytes);
      for (const start of [0, placeBytes]) {
        own.write(start, empty);
        own.write(start, Float64Array.of(nothing));
      }
      return pieces;
    } catch {
      pieces.close();
      return undefined;
    }
  }

  async put(at: number, parts: readonly Numbers[]): Promise<void> {
    const { own } = this.files;
    this.turn ^= 1;
    const start = this.turn * this.placeBytes;
    const head = headOf(at, parts, this.placeBytes - headBytes);
    own.write(start, Float64Array.of(nothing));
    let position = start + headBytes;
    for (const part of parts) {
      own.write(position, part);
      position += part.byteLength;
    }
    own.write(start + 8, head.subarray(1));
    own.write(start, head.subarray(0, 1));
  }

  settle(): void {}

  hasCopy(at: number): boolean {
    return this.find(at, 'before') !== undefined;
  }

  get(at: number, whose: Owner, length: number): Float32Array {
    const values = new Float32Array(length);
    const { start, head } = this.find(at, whose) ?? { start: 0, head: { at, bytes: nothing, checksum: 0 } };
    this.files[whose].read(start + headBytes, values);
    return checked(values, head);
  }

  close(): void {
    this.files.own.close();
    this.files.before.close();
  }

  private find(at: number, whose: Owner): { start: number; head: Head } | undefined {
    const numbers = new Float64Array(headNumbers);
    for (const start of [0, this.placeBytes]) {
      const whole = this.files[whose].read(start, numbers);
      const head = readHead(numbers);
      if (whole && head.at === at) return { start, head };
    }
    return undefined;
  }
}

/** A snapshot's place: head and piece of this rank, then of the rank before. */
interface Sent {
  at: number;
  values: Float32Array;
  /** The exchange; undefined once it is over. */
  exchange?: Pending;
}

/**
 * Pieces that ranks send each other, where they do not share a host: the exchange goes on beside the next step, and a rank
 * waits for it before the next snapshot. k P / N numbers travel to the next rank.
 */
class SentPieces implements Pieces {
  /** The place of the last snapshot, and that of the next one. */
  private last: Sent;
  private next: Sent;

  constructor(
    private readonly communicator: Communicator,
    longest: number,
  ) {
    const length = 2 * (headBytes / 4 + longest);
    const place = (): Sent => ({ at: nothing, values: new Float32Array(length) });
    this.last = place();
    this.next = place();
  }

  async put(at: number, parts: readonly Numbers[]): Promise<void> {
    await this.last.exchange?.wait();
    this.last.exchange = undefined;
    [this.last, this.next] = [this.next, this.last];
    const place = this.last;
    place.at = at;
    let position = 0;
    const head = headOf(at, parts, place.values.byteLength / 2 - headBytes);
    for (const part of [head, ...parts]) {
      const bits = new Float32Array(part.buffer, part.byteOffset, part.byteLength / 4);
      place.values.set(bits, position);
      position += bits.length;
    }
    place.exchange = this.communicator.startShift(place.values, { tag: 'snapshot' });
  }

  settle(): void {
    const { last } = this;
    if (!last.exchange?.over) return;
    last.exchange.waitSync();
    last.exchange = undefined;
  }

  hasCopy(at: number): boolean {
    return [this.last, this.next].some((place) => place.at === at && place.exchange === undefined);
  }

  get(at: number, whose: Owner, length: number): Float32Array {
    const { values } = present(
      [this.last, this.next].find((place) => place.at === at),
      'the snapshot',
    );
    const start = whose === 'own' ? 0 : values.length / 2;
    const piece = start + headBytes / 4;
    const head = readHead(new Float64Array(values.slice(start, piece).buffer));
    return checked(values.slice(piece, piece + length), head);
  }

  close(): void {}
}
