import { describe, expect, it } from 'vitest';
import { nearest } from '../../src/util/nearest.js';

describe('nearest', () => {
  it('is the known word of the fewest edits', () => {
    expect(nearest('wrokers', ['config', 'worker', 'workers'])).toBe('workers');
    expect(nearest('cifar10-resnet', ['cifar100-short', 'cifar10-resnet9'])).toBe('cifar10-resnet9');
  });

  it('is none where a third of the letters and more are other ones', () => {
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
