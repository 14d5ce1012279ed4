import { decodeImage, type DecodeOptions } from '../decode.js';
import type { ImagePlace } from '../places/place.js';
import { DiskCache, type Pack, type Stamp } from './disk-cache.js';
import { MemoryCache } from './memory-cache.js';

/** Images read so far, by where their pixels came from. */
export interface PixelOrigins {
  decoded: number;
  disk: number;
  memory: number;
}

/** Caches and counters that the loader threads of a process share. */
export interface SharedPixels {
  memory: MemoryCache['buffers'];
  pack?: Pack;
  /**
   * Number of images decoded, from disk, from memory; then the system's number of the first error in writing, or 0.
   */
  counters: SharedArrayBuffer;
}

const counter = { decoded: 0, disk: 1, memory: 2, errno: 3 } as const;

/** Memory for `SharedPixels.counters`. */
export function createCounters(): SharedArrayBuffer {
  return new SharedArrayBuffer(4 * Object.keys(counter).length);
}

export function originsOf({ counters }: SharedPixels): PixelOrigins {
  const [decoded, disk, memory] = new Int32Array(counters);
  return { decoded, disk, memory };
}

/** The error that ended writing to disk, as the system numbers it; 0 where there was none. */
export function writeError({ counters }: SharedPixels): number {
  return Atomics.load(new Int32Array(counters), counter.errno);
}

/**
 * Pixels of images: from memory, else from disk, else decoded and kept in both. An error in writing to disk is
 * noted for the main thread, and no thread writes any more.
 */
export class PixelSource {
  private readonly memory: MemoryCache;
  private readonly disk: DiskCache | undefined;
  private readonly counters: Int32Array;

  constructor(
    { memory, pack, counters }: SharedPixels,
    private readonly options: DecodeOptions,
  ) {
    this.memory = new MemoryCache(memory, options.size * options.size * options.channels);
    this.disk = pack && openIfThere(pack);
    this.counters = new Int32Array(counters);
  }

  /** Pixels of the image at `place`, whose number among the kept images is `image`. */
  async get(image: number, place: ImagePlace): Promise<Uint8Array> {
    const stored = this.memory.get(image);
    if (stored) {
      this.count('memory');
      return stored;
    }
    const stamp = this.disk && stampIfThere(place);
    const packed = stamp && this.disk?.read(image, stamp);
    if (packed) {
      this.count('disk');
      return this.memory.set(image, packed) ?? packed.slice();
    }
    const pixels = await this.decode(place);
    this.memory.set(image, pixels);
    if (stamp) this.write(image, stamp, pixels);
    return pixels;
  }

  /** Decodes an image that is not kept, such as a random part of an image. */
  async decode(place: ImagePlace, crop?: DecodeOptions['crop']): Promise<Uint8Array> {
    this.count('decoded');
    return decodeImage(place, { ...this.options, crop });
  }

  private write(image: number, stamp: Stamp, pixels: Uint8Array): void {
    if (Atomics.load(this.counters, counter.errno) !== 0) return;
    try {
      this.disk?.write(image, stamp, pixels);
    } catch (error) {
      const { errno = -1 } = error as NodeJS.ErrnoException;
      Atomics.compareExchange(this.counters, counter.errno, 0, errno);
    }
  }

  private count(origin: keyof PixelOrigins): void {
    Atomics.add(this.counters, counter[origin], 1);
  }
}

/** Opens the packed file; undefined where it has been removed since it was made. */
function openIfThere(pack: Pack): DiskCache | undefined {
  try {
    return new DiskCache(pack);
  } catch {
    return undefined;
  }
}

/** Stamp of an image; undefined where its status cannot be read: decoding then reports the reason. */
function stampIfThere(place: ImagePlace): Stamp | undefined {
  try {
    return place.stamp();
  } catch {
    return undefined;
  }
}
