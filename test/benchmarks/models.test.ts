import { describe, expect, it } from 'vitest';
import { fillBuckets } from '../../src/bench/buckets.js';
import { allReduceMs, fitLink, stepMs } from '../../src/bench/cost-model.js';
import { layerSizes } from '../../src/bench/layer-sizes.js';
import { formatSize, parseSize } from '../../src/bench/sizes.js';

describe('the cost model', () => {
  it('finds latency and bandwidth again in times that follow it', () => {
    const link = { hopMs: 0.05, byteMs: 1e-6 };
    const samples = [2, 4, 8].flatMap((workers) =>
      [1e5, 1e6, 1e8].map((bytes) => {
        const sharing = workers / 2;
        return { workers, bytes, sharing, medianMs: sharing * allReduceMs(link, workers, bytes) };
      }),
    );
    const fitted = fitLink(samples);
    expect(fitted.hopMs).toBeCloseTo(link.hopMs, 9);
    expect(fitted.byteMs / link.byteMs).toBeCloseTo(1, 9);
  });

  it('hides all but the last bucket behind a long computation, and nothing without overlap', () => {
    const link = { hopMs: 0, byteMs: 1e-6 };
    const step = { layers: new Array<number>(10).fill(250_000), computeMs: 300, bucketBytes: 1_000_000 };
    expect(stepMs(link, 2, { ...step, overlap: false })).toBeCloseTo(310);
    expect(stepMs(link, 2, { ...step, overlap: true })).toBeCloseTo(301);
  });
});

describe('layer sizes', () => {
  it('add up to the published number of parameters', () => {
    expect(layerSizes.resnet50.reduce((sum, size) => sum + size)).toBe(25_557_032);
  });

  it('fill buckets from the last layer to the first, with every parameter in one', () => {
    const buckets = fillBuckets(layerSizes.resnet50, 8_000_000);
    let end = 25_557_032;
    for (const bucket of buckets) {
      expect(bucket.end).toBe(end);
      end = bucket.start;
    }
    expect(end).toBe(0);
    for (const { start, end: stop } of buckets.slice(0, -1))
      expect((stop - start) * 4).toBeGreaterThanOrEqual(8_000_000);
  });
});

describe('sizes', () => {
  it.each([
    ['64KB', 64_000, '64 KB'],
    ['1MiB', 1_048_576, '1.049 MB'],
    ['100 MB', 100_000_000, '100 MB'],
    ['4', 4, '4 B'],
  ])('reads %s', (text, bytes, shown) => {
    expect(parseSize(text)).toBe(bytes);
    expect(formatSize(bytes)).toBe(shown);
  });

  it.each(['', '1TB', '-4', '3', 'KB', '1.5B'])('refuses "%s"', (text) => {
    expect(() => parseSize(text)).toThrow(/no size/);
  });
});
