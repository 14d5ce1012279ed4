import { Packr } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import { checkMessagePack } from '../../../src/job/control/msgpack-limits.js';

const limits = { containers: 10, values: 50, depth: 4 };
const pack = (value: unknown) => new Packr({ useRecords: false }).pack(value);
const check = (value: unknown) => () => checkMessagePack(pack(value), limits);

describe('checkMessagePack', () => {
  it.each(
    [
      [0],
      [-1],
      [300],
      [2 ** 40],
      [-(2 ** 40)],
      [0.1],
      [true],
      [null],
      [undefined],
      [2n ** 60n],
      ['text'],
      ['x'.repeat(300)],
      ['x'.repeat(70_000)],
      [new Uint8Array(70_000)],
      [Buffer.alloc(3)],
      [[]],
      [{}],
      [{ a: [1, [2, { b: 3 }]], c: undefined, d: 'e' }],
      [Array.from({ length: 20 }, (_, index) => index)],
      [Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`k${index}`, index]))],
    ].map(([value], at) => [at, value] as const),
  )('accepts value %i', (_at, value) => expect(check(value)).not.toThrow());

  it.each([
    ['more values than allowed', Array(51).fill(0), /more than 50 values/],
    ['more arrays than allowed', Array(11).fill([]), /more than 10 arrays and maps/],
    ['arrays too deep', [[[[[]]]]], /nested more than 4 deep/],
    ['a date', new Date(0), /an extension/],
  ])('rejects %s', (_what, value, message) => expect(check(value)).toThrow(message));

  it.each([0x64, 0x65, 0x69, 0x72, 0x73, 0x74, 0x78, 0xff])('rejects an extension of type %i', (type) => {
    for (const bytes of [
      [0xd4, type, 0],
      [0xc7, 1, type, 0],
    ])
      expect(() => checkMessagePack(Uint8Array.from(bytes), limits)).toThrow(/an extension/);
  });

  it('rejects truncated values, and bytes after the end of a value', () => {
    for (const bytes of [[], [0x91], [0xa2, 0x61], [0xdd, 0xff, 0xff, 0xff, 0xff], [0xc6, 0xff], [0xc1]])
      expect(() => checkMessagePack(Uint8Array.from(bytes), limits)).toThrow(RangeError);
    expect(() => checkMessagePack(Uint8Array.of(1, 2), limits)).toThrow(/more behind its end/);
  });
});
