import { describe, expect, it } from 'vitest';
import { nearest } from '../../src/util/nearest.js';

describe('nearest', () => {
  it('gives the known word with the fewest edits', () => {
    expect(nearest('wrokers', ['config', 'worker', 'workers'])).toBe('workers');
    expect(nearest('cifar10-resnet', ['cifar100-short', 'cifar10-resnet9'])).toBe('cifar10-resnet9');
  });

  it('gives undefined if more than a third of the letters differ', () => {
    expect(nearest('abcdefghi', ['abcdef', 'abcdexxxx'])).toBe('abcdef');
    expect(nearest('abcdefghi', ['abcdexxxx'])).toBeUndefined();
    expect(nearest('zzzzzz', ['launch'])).toBeUndefined();
    expect(nearest('x', [])).toBeUndefined();
  });

  it('allows two edits in short words', () => {
    expect(nearest('dta', ['data'])).toBe('data');
    expect(nearest('dt', ['data'])).toBe('data');
  });
});
