import { describe, expect, it } from 'vitest';
import { describeDuration, readDuration } from '../../src/util/duration.js';

describe('readDuration', () => {
  it.each([
    ['1h30m', 5400],
    ['45m', 2700],
    ['45min', 2700],
    ['90s', 90],
    ['1d2h3m4s', 93_784],
  ])('reads %s', (text, seconds) => {
    expect(readDuration(text, '--max-time')).toBe(seconds);
  });

  it.each(['', '0s', '90', '1x', '-1h', '30m1h', '1.5h', '400d'])('rejects %j in one line', (text) => {
    expect(() => readDuration(text, '--max-time')).toThrow(
      `--max-time ${text}: give a time such as 1h30m, 45m or 90s, of a year at most`,
    );
  });
});

describe('describeDuration', () => {
  it.each([
    [59.94, undefined, '59.9 s'],
    [119, undefined, '119.0 s'],
    [150, undefined, '3 min'],
    [7500, undefined, '2 h 5 min'],
    [65, 60, '1 min'],
    [3600, 60, '1 h 0 min'],
  ])('describes %d s with seconds below %s', (seconds, most, text) => {
    expect(describeDuration(seconds, most)).toBe(text);
  });
});
