import { describe, expect, it } from 'vitest';
import { configSchema, modelNames } from '../../src/config/schema.js';
import { listSettings } from '../../src/config/settings.js';

const settings = listSettings();
const formsOf = (path: string) => settings.find((setting) => setting.path === path)?.forms ?? [];

describe('listSettings', () => {
  it('lists every setting once, including those of every variant', () => {
    const paths = settings.map(({ path }) => path);
    expect(new Set(paths).size).toBe(paths.length);
    for (const path of ['batchSize', 'data.splitSeed', 'data.root', 'model.channels', 'learningRate.warmup'])
      expect(paths).toContain(path);
    expect(paths).not.toContain('data');
  });

  it('describes every setting', () => {
    for (const { path, forms } of settings)
      for (const { description } of forms) expect([path, description]).not.toEqual([path, '']);
  });

  it('gives the defaults of the schema', () => {
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

  it('lists all variants as values of the setting that chooses them', () => {
    const [{ of, values, required }, ...others] = formsOf('model.name');
    expect([of, required, others]).toEqual([[], true, []]);
    expect(values.split(' | ')).toEqual([...modelNames, 'module']);
    expect(formsOf('loss.name')).toEqual([expect.objectContaining({ default: 'pod', required: false })]);
  });

  it('lists a setting per variant if it differs between variants', () => {
    expect(formsOf('loss.scale').map((form) => [...form.of, form.default])).toEqual(
      expect.arrayContaining([
        ['am-softmax', 30],
        ['arcface', 64],
      ]),
    );
    expect(formsOf('optimizer.clipNorm').map(({ of }) => of)).toEqual([[]]);
    expect(formsOf('optimizer.momentum').map(({ of }) => of)).toEqual([['sgd', 'lars']]);
    expect(formsOf('data.augment.randomResizedCrop').map(({ of }) => of)).toEqual([
      ['image-folder', 'webdataset'],
    ]);
  });

  it('describes the values of a setting in words', () => {
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

  it('marks settings as required, but none in optional sections', () => {
    const required = settings.filter(({ forms }) => forms.every((form) => form.required));
    expect(required.map(({ path }) => path).sort()).toEqual([
      'data.name',
      'learningRate.epochs',
      'learningRate.rate',
      'learningRate.schedule',
      'model.name',
      'model.path',
    ]);
    const rootOf = (name: string) => formsOf('data.root').find(({ of }) => of.includes(name));
    expect([rootOf('cifar10')?.required, rootOf('image-folder')?.required]).toEqual([false, true]);
    expect(formsOf('data.normalize.mean')[0].required).toBe(false);
  });
});
