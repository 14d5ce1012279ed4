import { describe, expect, it } from 'vitest';
import { MemoryCache } from '../../../src/data/pixels/memory-cache.js';

const image = (level: number) => new Uint8Array(6).fill(level);

describe('MemoryCache', () => {
  it('returns stored images, and undefined for others', () => {
    const cache = MemoryCache.create(3, 6, 100);
    expect(cache.get(1)).toBeUndefined();
    cache.set(1, image(7));
    cache.set(2, image(0));
    expect(cache.get(1)).toEqual(image(7));
    expect(cache.get(2)).toEqual(image(0));
    expect(cache.get(0)).toBeUndefined();
    expect(cache.get(3)).toBeUndefined();
  });

  it('holds the first images that fit the limit', () => {
    const cache = MemoryCache.create(10, 6, 17);
    for (let index = 0; index < 10; index++) cache.set(index, image(index + 1));
    expect(cache.buffers.pixels.byteLength).toBe(12);
    expect(cache.get(0)).toEqual(image(1));
    expect(cache.get(1)).toEqual(image(2));
    expect(cache.get(2)).toBeUndefined();
  });

  it('holds nothing with a limit of 0', () => {
    const cache = MemoryCache.create(2, 6, 0);
    cache.set(0, image(1));
    expect(cache.get(0)).toBeUndefined();
  });

  it('shares images between caches on the same buffers', () => {
    const cache = MemoryCache.create(2, 6, 100);
    const other = new MemoryCache(cache.buffers, 6);
    other.set(1, image(9));
    expect(cache.get(1)).toEqual(image(9));
  });
});
