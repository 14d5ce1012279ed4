import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import type { RateSearch } from '../../../src/launching/find-rate.js';
import { Workplace } from '../../integration/command.js';

const place = new Workplace();
afterAll(() => place.clear());

const recipe = ['--backend', 'wasm', '--set', 'model={name: small-cnn, channels: [4, 8, 8], dim: 8}'];

describe('pod-dist lr-find', () => {
  it('gives the same losses with 1 and 2 workers, and leaves no other files', async () => {
    const found: RateSearch[] = [];
    for (const workers of ['1', '2']) {
      const search = ['--steps', '24', '--from', '0.001', '--to', '2', '--json', '--svg', 'rates.svg'];
      const ended = await place.run('lr-find', '-n', workers, '--bitwise', '2', ...recipe, ...search);
      expect(ended, ended.stderr).toMatchObject({ code: 0 });
      found.push(JSON.parse(ended.stdout) as RateSearch);
    }
    const [one, two] = found as [RateSearch, RateSearch];
    expect(two.points).toEqual(one.points);
    expect(one.points.length).toBe(24);
    expect(one.points[0]?.rate).toBeCloseTo(0.001, 12);
    expect(one.points[23]?.rate).toBeCloseTo(2, 12);
    expect(one.points[23]?.smoothed).toBeLessThan(one.points[0]?.smoothed ?? 0);
    expect([one.workers, two.workers]).toEqual([1, 2]);
    expect(readFileSync(place.path('rates.svg'), 'utf8')).toContain('learning rate');
    expect(existsSync(place.path('runs'))).toBe(false);
    expect(readdirSync(place.folder).filter((name) => !name.startsWith('.'))).toEqual(['rates.svg']);
    expect(place.leftovers()).toEqual([]);
  });

  it.each([
    [['--from', '1', '--to', '0.1'], /give two positive rates/],
    [['--steps', '3'], /from 20 to 100,000/],
  ])('rejects %j in one line', async (args, line) => {
    const { code, lastLine } = await place.ask('lr-find', ...recipe, ...args);
    expect(code).toBe(2);
    expect(lastLine).toMatch(line);
  });
});
