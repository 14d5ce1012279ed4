/**
 * Decoded pixels of the first images of a data set, in memory that all loader threads of a process share. What fits
 * the limit is decoded once; the rest every time. Memory is used as images are first stored.
 */
export class MemoryCache {
  private readonly pixels: Uint8Array;
  private readonly stored: Uint8Array;

  constructor(
    readonly buffers: { pixels: SharedArrayBuffer; stored: SharedArrayBuffer },
    private readonly imageBytes: number,
  ) {
    this.pixels = new Uint8Array(buffers.pixels);
    this.stored = new Uint8Array(buffers.stored);
  }

  /** A cache for `images` images of `imageBytes` bytes each, of at most `limit` bytes. */
  static create(images: number, imageBytes: number, limit: number): MemoryCache {
    const slots = Math.min(images, Math.floor(limit / imageBytes));
    const buffers = {
      pixels: new SharedArrayBuffer(slots * imageBytes),
      stored: new SharedArrayBuffer(slots),
    };
    return new MemoryCache(buffers, imageBytes);
  }

  /** The pixels of an image, or undefined where they are not stored. */
  get(image: number): Uint8Array | undefined {
    if (image >= this.stored.length || Atomics.load(this.stored, image) === 0) return undefined;
    return this.pixels.subarray(image * this.imageBytes, (image + 1) * this.imageBytes);
  }

  /** Stores a copy of an image and gives it back; undefined where it has no place. */
  set(image: number, pixels: Uint8Array): Uint8Array | undefined {
    if (image >= this.stored.length) return undefined;
    this.pixels.set(pixels, image * this.imageBytes);
    Atomics.store(this.stored, image, 1);
    return this.get(image);
  }
}
