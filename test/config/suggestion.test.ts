import { describe, expect, it } from 'vitest';
import { suggestion } from '../../src/config/suggestion.js';

describe('suggestion', () => {
  it('suggests the nearest key', () => {
    expect(suggestion({}, [], 'batchsize')).toBe('did you mean batchSize?');
    expect(suggestion({ optimizer: {} }, ['optimizer'], 'momentun')).toBe('did you mean momentum?');
    expect(suggestion({ loss: { delta: {} } }, ['loss', 'delta'], 'scales')).toBe('did you mean scale?');
  });

  it('lists the known keys if none is near', () => {
    expect(suggestion({ checkpoint: {} }, ['checkpoint'], 'zzzzzz')).toBe(
      'known keys here: every, keep, keepBest, copyTo',
    );
  });

  it('suggests keys of the chosen variant', () => {
    const keys = (name: string) => suggestion({ model: { name } }, ['model'], 'zzzzzzzz');
    expect(keys('resnet20')).toBe('known keys here: name, dim, init, padding');
    expect(keys('small-cnn')).toContain('strides');
    expect(suggestion({ data: { name: 'digits' } }, ['data'], 'root')).not.toContain('did you mean root');
  });
});
