import { describe, expect, it } from 'vitest';
import { errorCodes, readCode } from '../../src/util/error-codes.js';

describe('errorCodes', () => {
  it('lists every code once, with its meaning', () => {
    const codes = Object.values(errorCodes).flatMap((group) => Object.entries(group));
    expect(new Set(codes.map(([code]) => code)).size).toBe(codes.length);
    for (const [code, meaning] of codes) {
      expect(code).toMatch(/^[A-Z]+(_[A-Z]+)*$/);
      expect(meaning).not.toBe('');
    }
  });
});

describe('readCode', () => {
  it('returns known codes, and UNEXPECTED for other text', () => {
    expect(readCode('PEER_LOST')).toBe('PEER_LOST');
    for (const text of ['NO_SUCH_CODE', '', 'toString']) expect(readCode(text)).toBe('UNEXPECTED');
  });
});
