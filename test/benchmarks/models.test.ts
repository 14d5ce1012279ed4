import { describe, expect, it } from 'vitest';
import { fillBuckets } from '../../src/bench/buckets.js';
import { allReduceMs, fitLink, stepMs } from '../../src/bench/cost-model.js';
import { fitNetwork } from '../../src/bench/fit-network.js';
import { layerSizes } from '../../src/bench/layer-sizes.js';
import { simulateAllReduce, simulateSteps, type SimulatedSteps } from '../../src/bench/simulation.js';
import { formatSize, parseSize } from '../../src/bench/sizes.js';

describe('the cost model', () => {
  it('fitLink recovers latency and bandwidth from times of the model', () => {
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

  it('stepMs hides all but the last bucket behind a long computation, and nothing without overlap', () => {
    const link = { hopMs: 0, byteMs: 1e-6 };
    const step = { layers: new Array<number>(10).fill(250_000), computeMs: 300, bucketBytes: 1_000_000 };
    expect(stepMs(link, 2, { ...step, overlap: false })).toBeCloseTo(310);
    expect(stepMs(link, 2, { ...step, overlap: true })).toBeCloseTo(301);
  });
});

describe('the simulated network', () => {
  const bytes = 800_000;
  const link = { hopMs: 1, byteMs: 1e-6, messageMs: 0, handlingMs: 0 };

  it('gives the time of hops and bytes if processors cost nothing', () => {
    const time = (algorithm: 'ring' | 'halving-doubling' | 'two-shot') =>
      simulateAllReduce(link, 8, { bytes, algorithm });
    expect(time('ring')).toBeCloseTo(14 * 1 + 2 * 7 * 0.1);
    expect(time('halving-doubling')).toBeCloseTo(6 * 1 + 2 * (0.4 + 0.2 + 0.1));
    expect(time('two-shot')).toBeCloseTo(2 * 1 + 2 * 0.7);
  });

  it('serialises messages to one rank, and ranks that share a processor', () => {
    const about = { bytes: 8, algorithm: 'two-shot' } as const;
    const busy = { ...link, byteMs: 0, messageMs: 0.5 };
    expect(simulateAllReduce(busy, 4, about)).toBeCloseTo(2 * (1 + 3 * 0.5 + 0.5));
    expect(simulateAllReduce({ ...busy, cores: 1 }, 4, about)).toBeCloseTo(4 * 3 * 2 * 2 * 0.5);
  });

  it('is recovered by fitNetwork from its own times', () => {
    const network = { hopMs: 1.1, byteMs: 8e-7, messageMs: 0.04, handlingMs: 5e-7, cores: 2 };
    const samples = (['ring', 'two-shot', 'halving-doubling'] as const).flatMap((algorithm) =>
      [64_000, 1_000_000].flatMap((size) =>
        [4, 8].map((hosts) => ({
          ...{ hosts, algorithm, bytes: size },
          medianMs: simulateAllReduce(network, hosts, { bytes: size, algorithm }),
        })),
      ),
    );
    const fitted = fitNetwork({ hopMs: 1, byteMs: 8e-7, cores: 2 }, samples);
    for (const key of ['hopMs', 'messageMs', 'handlingMs'] as const)
      expect(fitted[key] / network[key]).toBeCloseTo(1, 1);
  });

  it('hides buckets behind computation, with several in flight, and waits for stragglers', () => {
    const layers = new Array<number>(12).fill(50_000);
    const step = (more: Partial<SimulatedSteps>) =>
      simulateSteps(link, 8, {
        ...{ layers, computeMs: 60, bucketBytes: 200_000, inFlight: 1 },
        algorithmFor: () => 'ring',
        ...more,
      });
    const all = 12 * simulateAllReduce(link, 8, { bytes: 200_000, algorithm: 'ring' });
    expect(step({ inFlight: 0 })).toBeCloseTo(60 + all);
    expect(step({})).toBeCloseTo(20 + 40 / 12 + all);
    expect(step({ inFlight: 3 })).toBeLessThan(step({}) - 90);
    const late = { computeMs: 600, jitter: 0.1, steps: 3 };
    expect(step(late)).toBe(step(late));
    expect(step(late)).not.toBe(step({ ...late, seed: 2 }));
    expect(step(late)).toBeGreaterThan(step({ ...late, jitter: 0 }) + 60);
  });
});

describe('layerSizes', () => {
  it('add up to the published number of parameters', () => {
    expect(layerSizes.resnet50.reduce((sum, size) => sum + size)).toBe(25_557_032);
  });

  it('fill buckets from the last layer to the first, each parameter once', () => {
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

describe('parseSize', () => {
  it.each([
    ['64KB', 64_000, '64 KB'],
    ['1MiB', 1_048_576, '1.049 MB'],
    ['100 MB', 100_000_000, '100 MB'],
    ['4', 4, '4 B'],
  ])('reads %s, which formatSize prints again', (text, bytes, shown) => {
    expect(parseSize(text)).toBe(bytes);
    expect(formatSize(bytes)).toBe(shown);
  });

  it.each(['', '1TB', '-4', '3', 'KB', '1.5B'])('rejects "%s"', (text) => {
    expect(() => parseSize(text)).toThrow(/no size/);
  });
});
