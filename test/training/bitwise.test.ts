import { describe, expect, it } from 'vitest';
import { backendOptions, thresholdsOf } from '../../src/parallel/bitwise.js';
import { distributedConfig } from './distributed-config.js';

describe('thresholdsOf', () => {
  it('turns ring and hierarchical algorithms off with distributed.bitwise, since they do not add in pairs', () => {
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
  ])(
    'takes distributed.threads, and one thread by default with distributed.bitwise: %j',
    (given, options) => {
      expect(backendOptions(distributedConfig(given))).toEqual({ ...options, precision: 'float32' });
    },
  );
});
