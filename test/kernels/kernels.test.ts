import { beforeAll, describe, expect, it } from 'vitest';
import { loadKernels, type Kernels } from '../../src/collective/kernels.js';
import { loadOptimisers, type OptimiserKernels } from '../../src/kernels/optimisers.js';
import { randomStream } from '../../src/util/random.js';

const memory = new WebAssembly.Memory({ initial: 64, maximum: 64, shared: true });
let kernels: Kernels;
let optimisers: OptimiserKernels;
let next: number;

/** Lengths around the width of a SIMD step, and long ones. */
const lengths = [0, 1, 3, 4, 7, 8, 9, 15, 16, 17, 31, 33, 1000, 4099];

function region(length: number): Float32Array {
  const view = new Float32Array(memory.buffer, next, length);
  next += Math.ceil((length * 4) / 64) * 64 + 64;
  return view;
}

function random(length: number, seed: number, scale = 2): Float32Array {
  const source = randomStream(seed);
  const view = region(length);
  for (let index = 0; index < length; index++) view[index] = scale * (source.uniform() - 0.5);
  return view;
}

function close(actual: ArrayLike<number>, wanted: ArrayLike<number>, tolerance: number): void {
  for (let index = 0; index < wanted.length; index++) {
    const error = Math.abs(actual[index] - wanted[index]) / Math.max(1, Math.abs(wanted[index]));
    if (!(error <= tolerance)) expect.fail(`element ${index} is ${actual[index]}, not ${wanted[index]}`);
  }
}

beforeAll(async () => {
  kernels = await loadKernels(memory);
  optimisers = loadOptimisers(memory);
});

/** The nearest bfloat16, found from its two neighbours in double precision; ties go to the even last bit. */
function nearestBfloat16(value: number): number {
  const bits = new Uint32Array(1);
  const float = new Float32Array(bits.buffer);
  float[0] = value;
  bits[0] &= 0xffff0000;
  const [lower, lowerBits] = [float[0], bits[0]];
  bits[0] = lowerBits + 0x10000;
  const upper = float[0];
  const [below, above] = [Math.abs(value - lower), Math.abs(upper - value)];
  if (below === above) return ((lowerBits >>> 16) & 1) === 0 ? lower : upper;
  return below < above ? lower : upper;
}

describe.each(lengths)('kernels on %i values', (length) => {
  it('pack to bfloat16, nearest with ties to even, and keep the rounding error as residual', () => {
    next = 65_536;
    const values = random(length, 1, 100);
    const residual = random(length, 2, 0.1);
    const before = Float64Array.from(values, (value, index) => Math.fround(value + residual[index]));
    const packed = region(Math.ceil(length / 2));
    const unpacked = region(length);
    kernels.bfloat16.pack(packed.byteOffset, values.byteOffset, residual.byteOffset, values.byteLength);
    kernels.bfloat16.unpack(unpacked.byteOffset, packed.byteOffset, values.byteLength);
    for (let index = 0; index < length; index++) {
      expect(unpacked[index]).toBe(nearestBfloat16(before[index]));
      expect(unpacked[index] + residual[index]).toBe(before[index]);
    }
    const sum = random(length, 3);
    const wanted = Float64Array.from(sum, (value, index) => value + unpacked[index]);
    kernels.bfloat16.unpackAdd(sum.byteOffset, packed.byteOffset, sum.byteLength);
    close(sum, wanted, 1e-6);
  });

  it('add and scale', () => {
    next = 65_536;
    const values = random(length, 4);
    const other = random(length, 5);
    const wanted = Float64Array.from(values, (value, index) => (value + other[index]) * 0.37);
    kernels.reduce.float32.sum(values.byteOffset, other.byteOffset, values.byteLength);
    optimisers.scale(values, 0.37);
    close(values, wanted, 1e-6);
  });

  it.each([
    { momentum: 0, nesterov: false, weightDecay: 0 },
    { momentum: 0.9, nesterov: false, weightDecay: 5e-4 },
    { momentum: 0.9, nesterov: true, weightDecay: 5e-4 },
  ])('update by SGD, in agreement with double precision, %o', ({ momentum, nesterov, weightDecay }) => {
    next = 65_536;
    const weights = random(length, 6);
    const velocity = random(length, 7);
    const [w, v] = [Float64Array.from(weights), Float64Array.from(velocity)];
    for (let step = 1; step <= 3; step++) {
      const gradients = random(length, 7 + step);
      optimisers.sgd(weights, gradients, velocity, {
        rate: 0.1,
        momentum,
        nesterov,
        weightDecay,
        scale: 0.5,
      });
      for (let index = 0; index < length; index++) {
        const gradient = 0.5 * gradients[index] + weightDecay * w[index];
        v[index] = momentum * v[index] + gradient;
        w[index] -= 0.1 * (nesterov ? gradient + momentum * v[index] : v[index]);
      }
    }
    close(weights, w, 2e-6);
    close(velocity, v, 2e-6);
  });

  it('average weights, in agreement with double precision, and copy them with share 1', () => {
    next = 65_536;
    const weights = random(length, 40);
    const averages = random(length, 41);
    const wanted = Float64Array.from(averages, (before, index) => before + 0.25 * (weights[index] - before));
    optimisers.average(averages, weights, 0.25);
    close(averages, wanted, 1e-6);
    averages.fill(0);
    optimisers.average(averages, weights, 1);
    expect(averages).toEqual(weights);
  });

  it('update by AdamW, in agreement with double precision', () => {
    next = 65_536;
    const [weights, mean, square] = [random(length, 20), region(length).fill(0), region(length).fill(0)];
    const w = Float64Array.from(weights);
    const m = new Float64Array(length);
    const s = new Float64Array(length);
    for (let step = 1; step <= 4; step++) {
      const gradients = random(length, 20 + step);
      const options = { rate: 0.01, betas: [0.9, 0.999] as const, epsilon: 1e-8, weightDecay: 0.05, step };
      optimisers.adamW(weights, gradients, mean, square, options);
      for (let index = 0; index < length; index++) {
        m[index] = 0.9 * m[index] + 0.1 * gradients[index];
        s[index] = 0.999 * s[index] + 0.001 * gradients[index] ** 2;
        const [corrected, variance] = [m[index] / (1 - 0.9 ** step), s[index] / (1 - 0.999 ** step)];
        w[index] -= 0.01 * 0.05 * w[index] + (0.01 * corrected) / (Math.sqrt(variance) + 1e-8);
      }
    }
    close(weights, w, 5e-6);
    close(mean, m, 1e-6);
    close(square, s, 1e-6);
  });

  it('sum squares in double precision', () => {
    next = 65_536;
    const values = random(length, 30, 1000);
    const wanted = values.reduce((sum, value) => sum + value * value, 0);
    expect(Math.abs(optimisers.squaredNorm(values) - wanted)).toBeLessThanOrEqual(1e-12 * wanted);
  });

  it('find the first value that is not finite, at any position', () => {
    next = 65_536;
    const values = random(length, 40);
    expect(optimisers.firstNonFinite(values)).toBe(-1);
    for (const bad of [NaN, Infinity, -Infinity]) {
      for (const index of new Set([0, length >> 1, length - 1].filter((at) => at >= 0 && at < length))) {
        const kept = values[index];
        values[index] = bad;
        expect(optimisers.firstNonFinite(values)).toBe(index);
        values[index] = kept;
      }
    }
  });
});

describe('kernels', () => {
  it('keep NaN and infinities in bfloat16, without a residual', () => {
    next = 65_536;
    const bits = new Uint32Array([0x7fffffff, 0xffffffff, 0x7f800001, 0x7f800000, 0xff800000, 0x7f7fffff]);
    for (const length of [6, 16]) {
      const values = region(length).fill(1);
      new Uint32Array(values.buffer, values.byteOffset, length).set(bits);
      const residual = region(length).fill(0);
      const packed = region(length);
      kernels.bfloat16.pack(packed.byteOffset, values.byteOffset, residual.byteOffset, values.byteLength);
      kernels.bfloat16.unpack(values.byteOffset, packed.byteOffset, values.byteLength);
      expect(Array.from(values.subarray(0, 6))).toEqual([NaN, NaN, NaN, Infinity, -Infinity, Infinity]);
      expect(optimisers.firstNonFinite(residual)).toBe(-1);
    }
  });

  it('keep a sum exact over many rounds by their residual', () => {
    next = 65_536;
    const values = region(8).fill(1.001);
    const residual = region(8).fill(0);
    const [packed, sum] = [region(8), region(8).fill(0)];
    for (let round = 0; round < 1000; round++) {
      kernels.bfloat16.pack(packed.byteOffset, values.byteOffset, residual.byteOffset, values.byteLength);
      kernels.bfloat16.unpackAdd(sum.byteOffset, packed.byteOffset, values.byteLength);
    }
    close(sum, new Array(8).fill(1001), 1e-5);
  });

  it('reject arrays outside their memory', () => {
    expect(() => optimisers.scale(new Float32Array(4), 2)).toThrow(/Communicator.allocate/);
  });
});
