import { describe, expect, it } from 'vitest';
import { errorCodes, readCode } from '../../src/util/error-codes.js';

describe('errorCodes', () => {
  it('has every code in one group, with what it means', () => {
    const codes = Object.values(errorCodes).flatMap((group) => Object.entries(group));
    expect(new Set(codes.map(([code]) => code)).size).toBe(codes.length);
    for (const [code, meaning] of codes) {
      expect(code).toMatch(/^[A-Z]+(_[A-Z]+)*$/);
      expect(meaning).not.toBe('');
    }
  });
});

describe('readCode', () => {
  it('knows the codes, and takes nothing else for one', () => {
    expect(readCode('PEER_LOST')).toBe('PEER_LOST');
    for (const text of ['NO_SUCH_CODE', '', 'toString']) expect(readCode(text)).toBe('UNEXPECTED');
  });
});
