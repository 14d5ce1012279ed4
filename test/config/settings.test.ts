import { describe, expect, it } from 'vitest';
import { configSchema, modelNames } from '../../src/config/schema.js';
import { listSettings } from '../../src/config/settings.js';

const settings = listSettings();
const formsOf = (path: string) => settings.find((setting) => setting.path === path)?.forms ?? [];

describe('listSettings', () => {
  it('names every setting once, those of every variant included', () => {
    const paths = settings.map(({ path }) => path);
    expect(new Set(paths).size).toBe(paths.length);
    for (const path of ['batchSize', 'data.splitSeed', 'data.root', 'model.channels', 'learningRate.warmup'])
      expect(paths).toContain(path);
    expect(paths).not.toContain('data');
  });

  it('says of each what it does', () => {
    for (const { path, forms } of settings)
      for (const { description } of forms) expect([path, description]).not.toEqual([path, '']);
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
      expect(formsOf(path)[0].default).toEqual(read(path));
  });

  it('puts the values of what chooses a variant together', () => {
    const [{ of, values, required }, ...others] = formsOf('model.name');
    expect([of, required, others]).toEqual([[], true, []]);
    expect(values.split(' | ')).toEqual([...modelNames, 'module']);
    expect(formsOf('loss.name')).toEqual([expect.objectContaining({ default: 'pod', required: false })]);
  });

  it('tells the variants of a section apart where a setting differs between them', () => {
    expect(formsOf('loss.scale').map((form) => [...form.of, form.default])).toEqual([
      ['am-softmax', 30],
      ['arcface', 64],
      ['pedcc-loss', 15],
      ['centroid-softmax', 1],
    ]);
    expect(formsOf('optimizer.clipNorm').map(({ of }) => of)).toEqual([[]]);
    expect(formsOf('optimizer.momentum').map(({ of }) => of)).toEqual([['sgd', 'lars']]);
    expect(formsOf('data.augment.randomResizedCrop').map(({ of }) => of)).toEqual([
      ['image-folder', 'webdataset'],
    ]);
  });

  it('says in words what a setting may be', () => {
    const values = (path: string) => formsOf(path)[0].values;
    expect(values('batchSize')).toBe('whole number from 1 to 1048576');
    expect(values('distributed.port')).toBe('whole number from 0 to 65535');
    expect(values('optimizer.clipNorm')).toBe('number above 0');
    expect(values('optimizer.betas')).toBe('[number from 0 below 1, number from 0 below 1]');
    expect(values('model.strides')).toBe('[whole number from 1 to 16, ...]');
    expect(values('data.channels')).toBe('1 | 3');
    expect(values('distributed.bindCores')).toBe('true | false');
    expect(values('trace')).toBe('text');
  });

  it('requires what no recipe can do without, and nothing of a section that may be left out', () => {
    const required = settings.filter(({ forms }) => forms.every((form) => form.required));
    expect(required.map(({ path }) => path).sort()).toEqual([
      'data.name',
      'learningRate.epochs',
      'learningRate.rate',
      'learningRate.schedule',
      'model.name',
      'model.path',
    ]);
    expect(formsOf('data.root').map((form) => form.required)).toEqual([false, true, true]);
    expect(formsOf('data.normalize.mean')[0].required).toBe(false);
  });
});
