import { describe, expect, it } from 'vitest';
import { backendOptions, thresholdsOf } from '../../src/parallel/bitwise.js';
import { distributedConfig } from './distributed-config.js';

describe('thresholdsOf', () => {
  it('leaves out the algorithms that add up in an order of their own where bits are to be equal', () => {
    expect(thresholdsOf(distributedConfig({ ringBytes: 7 })).ringBytes).toBe(7);
    const { ringBytes, hierarchicalBytes } = thresholdsOf(distributedConfig({ ringBytes: 7, bitwise: 4 }));
    expect([ringBytes, hierarchicalBytes]).toEqual([Infinity, Infinity]);
  });
});

describe('backendOptions', () => {
  it.each([
    [{}, { deterministic: false, threads: undefined }],
    [{ threads: 3 }, { deterministic: false, threads: 3 }],
    [{ bitwise: 2 }, { deterministic: true, threads: 1 }],
    [
      { bitwise: 2, threads: 3 },
      { deterministic: true, threads: 3 },
    ],
  ])('computes with as many threads as are wanted, and with one for equal bits: %j', (given, options) => {
    expect(backendOptions(distributedConfig(given))).toEqual({ ...options, precision: 'float32' });
  });
});
