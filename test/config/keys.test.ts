import { describe, expect, it } from 'vitest';
import { listSettings, suggestion } from '../../src/config/keys.js';
import { configSchema } from '../../src/config/schema.js';

describe('listSettings', () => {
  const settings = listSettings();

  it('names every setting once, those of every variant included', () => {
    const paths = settings.map(({ path }) => path);
    expect(new Set(paths).size).toBe(paths.length);
    for (const path of ['batchSize', 'data.splitSeed', 'data.root', 'model.channels', 'learningRate.warmup'])
      expect(paths).toContain(path);
    expect(paths).not.toContain('data');
  });

  it('gives the defaults that a recipe without the setting gets', () => {
    const config = configSchema.parse({
      data: { name: 'digits' },
      model: { name: 'small-cnn' },
      learningRate: { schedule: 'one-cycle', rate: 1 },
    });
    const read = (path: string) =>
      path.split('.').reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], config);
    for (const path of ['seed', 'optimizer.momentum', 'model.dim', 'learningRate.warmup', 'loss.delta.scale'])
      expect(settings.find((setting) => setting.path === path)?.default).toEqual(read(path));
  });
});

describe('suggestion', () => {
  it('takes the nearest key', () => {
    expect(suggestion({}, [], 'batchsize')).toBe('did you mean batchSize?');
    expect(suggestion({ optimizer: {} }, ['optimizer'], 'momentun')).toBe('did you mean momentum?');
    expect(suggestion({ loss: { delta: {} } }, ['loss', 'delta'], 'scales')).toBe('did you mean scale?');
  });

  it('lists the known keys where none is near', () => {
    expect(suggestion({ checkpoint: {} }, ['checkpoint'], 'zzzzzz')).toBe('known keys here: every, keep');
  });

  it('speaks of the variant that the settings choose', () => {
    const keys = (name: string) => suggestion({ model: { name } }, ['model'], 'zzzzzzzz');
    expect(keys('resnet20')).toBe('known keys here: name, dim');
    expect(keys('small-cnn')).toContain('strides');
    expect(suggestion({ data: { name: 'digits' } }, ['data'], 'root')).not.toContain('did you mean root');
  });
});
