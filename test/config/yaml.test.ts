import { describe, expect, it } from 'vitest';
import { parseYaml } from '../../src/config/yaml.js';

const bomb = Array.from(
  { length: 12 },
  (_, level) =>
    `a${level}: &a${level} [${Array.from({ length: 9 }, () => (level === 0 ? 'x' : `*a${level - 1}`)).join(', ')}]`,
).join('\n');

describe('parseYaml', () => {
  it('returns the value and the place of each key and entry', () => {
    const { value, places } = parseYaml('a: 1\nb:\n  - x\n  - c: {d: 2}\n', 'x');
    expect(value).toEqual({ a: 1, b: ['x', { c: { d: 2 } }] });
    expect(Object.fromEntries(places)).toEqual({
      a: '1:1',
      b: '2:1',
      'b.0': '3:5',
      'b.1': '4:5',
      'b.1.c': '4:5',
      'b.1.c.d': '4:9',
    });
  });

  it.each([
    ['aliases that multiply', bomb, /its aliases stand for too much/],
    ['an alias of its own parent', 'a: &a [*a]', /aliases/],
    ['nested lists', '['.repeat(100_000), /more than 50 levels are nested/],
    ['nested maps', '{a: '.repeat(20_000), /more than 50 levels are nested/],
    ['nested entries', '- '.repeat(50_000), /more than 50 levels are nested/],
    ['nested keys', '? '.repeat(50_000), /more than 50 levels are nested/],
    ['deep indentation', Array.from({ length: 500 }, (_, i) => `${' '.repeat(i)}a:`).join('\n'), /nested/],
    ['many quotes', '"'.repeat(50_000), /not as YAML is written/],
    ['many brackets', ']'.repeat(50_000), /not as YAML is written/],
    ['an unknown tag', 'a: !!js/function "x"', /a tag that is not known/],
    ['an unknown directive', '%FOO bar\n---\na: 1', /not as YAML is written/],
    ['a key given twice', 'a: {b: 1, b: 2}', /a key is given twice at line 1, column 11/],
  ])('rejects %s in one line, in seconds', (_what, text, message) => {
    const started = performance.now();
    expect(() => parseYaml(text, 'x')).toThrow(message);
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  it('quotes nothing of the file in its errors', () => {
    for (const text of [
      'secret: *word',
      '"secret" word',
      'secret\nword: x',
      'a: !secret x',
      '%secret',
      'a: "\\secret"',
    ]) {
      let line = '';
      try {
        parseYaml(text, 'x');
      } catch (error) {
        line = (error as Error).message;
      }
      expect(line).toMatch(/^x: .+$/);
      expect(line).not.toContain('secret');
    }
  });
});
