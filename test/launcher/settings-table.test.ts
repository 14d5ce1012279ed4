import { describe, expect, it } from 'vitest';
import { describeSettings } from '../../launcher/settings-table.js';

const form = { of: [], values: 'whole number from 1', description: 'images a step', required: false };

describe('describeSettings', () => {
  it('prints a row for each form of a setting, with the path in the first row', () => {
    const forms = [
      { ...form, of: ['arcface'], default: 64 },
      { ...form, of: ['am-softmax', 'x'], required: true },
    ];
    expect(describeSettings([{ path: 'loss.scale', forms }], 120).split('\n')).toEqual([
      `${'loss.scale'.padEnd(35)}${'whole number from 1; default'.padEnd(31)}arcface: images a step`,
      `${''.padEnd(35)}64`,
      `${''.padEnd(35)}${'whole number from 1; required'.padEnd(31)}am-softmax, x: images a step`,
    ]);
  });

  it('wraps lines at the given width', () => {
    const description = 'many words '.repeat(20).trim();
    const lines = describeSettings([{ path: 'a', forms: [{ ...form, description }] }], 100).split('\n');
    expect(lines.length).toBeGreaterThan(5);
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(100);
    const words = lines.map((line) => line.slice(66).trim()).join(' ');
    expect(words).toBe(description);
  });
});
