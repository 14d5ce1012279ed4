import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UserError } from '../../src/util/errors.js';
import { judge, type Target } from './judge.js';

const target = (read: () => unknown, bounds: Partial<Target> = {}): Target => ({
  name: 'planted',
  codes: ['DATA_INVALID'],
  inputs: fc.constant(null),
  read,
  ...bounds,
});
const judged = (read: () => unknown, bounds?: Partial<Target>) => judge(target(read, bounds), null, '');

describe('judge', () => {
  it('accepts a value, and an error with a code of the target', async () => {
    expect(await judged(() => 7)).toBe('read');
    const refuse = () => {
      throw new UserError('DATA_INVALID', 'no');
    };
    expect(await judged(refuse)).toBe('DATA_INVALID');
  });

  it('reports an error with another code, and an error of another class', async () => {
    const refuse = () => {
      throw new UserError('CONFIG_INVALID', 'no');
    };
    await expect(judged(refuse)).rejects.toThrow('refused with CONFIG_INVALID: no');
    await expect(judged(() => (undefined as unknown as string).length)).rejects.toThrow('TypeError');
    await expect(judged(() => Promise.reject(new RangeError('far')))).rejects.toThrow('RangeError: far');
  });

  it('reports and removes a key added to a prototype', async () => {
    const pollute = () => Object.assign(Object.prototype, { polluted: 1 });
    await expect(judged(pollute)).rejects.toThrow('added polluted to a prototype');
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  it('reports an input that takes too much time or memory', async () => {
    const spin = () => {
      const until = performance.now() + 300;
      while (performance.now() < until);
    };
    await expect(judged(spin, { seconds: 0.02 })).rejects.toThrow('of processor time');
    await expect(judged(() => Buffer.alloc(200 * 2 ** 20, 1).length, { megabytes: 100 })).rejects.toThrow(
      /took 2\d\d MB/,
    );
  });
});
