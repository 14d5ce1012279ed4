import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.js';
import { shippedRecipes } from '../../src/config/recipe.js';

const folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
mkdirSync(join(folder, 'parts'));
afterAll(() => rmSync(folder, { recursive: true }));

function recipe(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

describe('extends', () => {
  it('merges sections over files relative to the recipe', () => {
    recipe(
      'parts/base.yaml',
      'data: {name: digits, augment: {cropPadding: 1, flip: true}}\nmodel: {name: small-cnn, dim: 8, channels: [1, 2, 3]}\n' +
        'learningRate: {schedule: step, rate: 0.5, epochs: [1, 2]}\noptimizer: {nesterov: true}\n',
    );
    recipe('parts/middle.yaml', 'extends: ./base.yaml\nmodel: {channels: [4, 5], strides: [1, 2]}\n');
    const file = recipe(
      'top.yaml',
      'extends: parts/middle.yaml\ndata: {augment: {flip: false}}\nepochs: 3\n',
    );
    expect(loadConfig({ file })).toMatchObject({
      epochs: 3,
      data: { name: 'digits', augment: { cropPadding: 1, flip: false } },
      model: { dim: 8, channels: [4, 5], strides: [1, 2] },
      optimizer: { nesterov: true },
      learningRate: { epochs: [1, 2] },
    });
  });

  it("drops settings of a section's old variant, and keeps those that both variants have", () => {
    const file = recipe(
      'other.yaml',
      'extends: digits\nmodel: {name: resnet18}\nlearningRate: {schedule: cosine, rate: 0.2}\n',
    );
    expect(loadConfig({ file })).toMatchObject({
      name: 'digits',
      batchSize: 96,
      learningRate: { schedule: 'cosine', rate: 0.2, finalRate: 0, warmupEpochs: 8 },
    });
    expect(loadConfig({ file }).model).toMatchObject({ name: 'resnet18', dim: 64, stem: '3x3' });
  });

  it('rejects a cycle with all its files', () => {
    const first = recipe('first.yaml', 'extends: second.yaml');
    recipe('second.yaml', 'extends: first.yaml');
    expect(() => loadConfig({ file: first })).toThrow(
      /first\.yaml extends .*second\.yaml extends .*first\.yaml: recipes extend one another in a circle/,
    );
    const itself = recipe('itself.yaml', 'extends: itself.yaml');
    expect(() => loadConfig({ file: itself })).toThrow(/in a circle/);
  });

  it('rejects missing files, lists and unknown keys', () => {
    const missing = recipe('missing.yaml', 'extends: nowhere.yaml');
    expect(() => loadConfig({ file: missing })).toThrow(
      /no configuration file nowhere\.yaml: .*paper-cifar10/,
    );
    const list = recipe('list.yaml', 'extends: [digits, mnist]');
    expect(() => loadConfig({ file: list })).toThrow(/list\.yaml:1:1: extends is the path of one recipe/);
    const wrong = recipe('wrong.yaml', 'extends: digits\nepoch: 3');
    expect(() => loadConfig({ file: wrong })).toThrow(
      /^[^ ]*wrong\.yaml:2:1: unknown key epoch; did you mean epochs\?$/,
    );
    const odd = recipe('odd.yaml', 'extends: digits\n__proto__: {epochs: 3}');
    expect(() => loadConfig({ file: odd })).toThrow(/unknown key __proto__/);
  });

  it("resolves a user's module relative to the recipe that names it", () => {
    recipe('parts/own.yaml', 'extends: digits\nmodel: {name: module, path: ./mine.js, dim: 4}');
    const file = recipe('uses.yaml', 'extends: parts/own.yaml\nepochs: 2');
    expect(loadConfig({ file }).model).toEqual({
      name: 'module',
      path: join(folder, 'parts', 'mine.js'),
      dim: 4,
    });
  });
});

describe('the shipped recipe', () => {
  it.each(shippedRecipes())('%s is valid and has its own name', (name) => {
    expect(loadConfig({ file: name }).name).toBe(name);
  });

  const small = { mean: [0.507, 0.487, 0.441], std: [0.267, 0.256, 0.276] };
  const padded = { cropPadding: 4, flip: true };
  it.each([
    [
      'paper-cifar10',
      200,
      256,
      {
        name: 'cifar10',
        augment: padded,
        normalize: { mean: [0.4914, 0.4822, 0.4465], std: [0.2023, 0.1994, 0.201] },
      },
    ],
    ['paper-cifar100', 128, 512, { name: 'cifar100', augment: padded, normalize: small }],
    ['paper-tiny-imagenet', 128, 512, { name: 'tiny-imagenet', augment: padded, normalize: small }],
    ['paper-facescrub', 128, 512, { name: 'image-folder', size: 64, augment: padded, normalize: small }],
    [
      'paper-imagenet',
      96,
      512,
      {
        name: 'image-folder',
        size: 224,
        resize: 256,
        augment: { cropPadding: 0, flip: true, randomResizedCrop: true },
        normalize: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
      },
    ],
  ])("%s has the authors' hyper-parameters", (file, batchSize, dim, data) => {
    const config = loadConfig({ file });
    expect(config).toMatchObject({
      batchSize,
      epochs: 100,
      data,
      model: { name: 'resnet50', stem: '3x3', dim, init: 'pytorch', padding: 'pytorch' },
      loss: { name: 'pod', lambda: 1, delta: { initial: 0.05, scale: 0.01, source: 'logits' } },
      optimizer: { momentum: 0.9, nesterov: false, weightDecay: 5e-4, skipDecay: false },
      learningRate: { schedule: 'step', rate: 0.1, epochs: [30, 60, 90], factor: 0.1, warmupEpochs: 0 },
    });
  });
});
