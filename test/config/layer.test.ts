import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { jsonSchema, listedValues, variants } from '../../src/config/json-schema.js';
import { loadConfig } from '../../src/config/load.js';
import { choiceKey } from '../../src/config/schema-tree.js';

const folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;

function recipe(text: string, name = `${++files}.yaml`): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

/** Settings that a variant requires besides its name. */
const needed: Readonly<Record<string, string>> = {
  module: ', path: ./mine.js, dim: 4',
  'image-folder': ', root: faces',
  webdataset: ', root: shards',
  constant: ', rate: 0.1',
  step: ', rate: 0.1, epochs: [1]',
  cosine: ', rate: 0.1',
  'one-cycle': ', rate: 0.1',
};

const sections = Object.entries(jsonSchema().properties ?? {}).filter(
  ([, node]) => choiceKey(node) !== undefined,
);

describe('a section with variants', () => {
  it('is one of data, model, loss, optimizer and learningRate', () => {
    expect(sections.map(([name]) => name)).toEqual(['data', 'model', 'loss', 'optimizer', 'learningRate']);
  });

  const turns = sections.flatMap(([section, node]) => {
    const key = choiceKey(node) as string;
    const names = variants(node).map(({ properties = {} }) => String(listedValues(properties[key])[0]));
    return names.flatMap((from) =>
      names.filter((to) => to !== from).map((to) => ({ section, key, from, to })),
    );
  });

  it.each(turns)(
    '$section: settings of $from are dropped when the section changes to $to',
    ({ section, key, from, to }) => {
      const rest =
        'learningRate: {schedule: constant, rate: 0.1}\nmodel: {name: resnet20}\ndata: {name: digits}\n';
      const own = rest
        .split('\n')
        .filter((line) => !line.startsWith(section))
        .join('\n');
      const first = loadConfig({
        file: recipe(`${own}\n${section}: {${key}: ${from}${needed[from] ?? ''}}\n`),
      });
      const whole = recipe(JSON.stringify(first));
      const turned = loadConfig({
        file: recipe(`extends: ${whole}\n${section}: {${key}: ${to}${needed[to] ?? ''}}`),
      });
      expect(turned[section as 'model']).toMatchObject({ [key]: to });
      const extra = [...(needed[to] ?? '').matchAll(/, (\w+): ([^,]+)/g)].map(
        ([, name, value]) => `${section}.${name}=${value}`,
      );
      const set = [`${section}.${key}=${to}`, ...extra];
      expect(loadConfig({ file: whole, set })[section as 'model']).toMatchObject({ [key]: to });
    },
  );
});

describe('a section that changes to another variant', () => {
  it('keeps the settings that both variants have', () => {
    const file = recipe(
      'extends: cifar10-resnet20\ndata: {name: cifar10}\nmodel: {name: small-cnn}\noptimizer: {name: lars}\n',
    );
    const { data, model, optimizer } = loadConfig({ file });
    expect(data).toMatchObject({ name: 'cifar10', augment: { cropPadding: 0, flip: false, cutout: 0 } });
    for (const key of ['root', 'normalize', 'size']) expect(data).not.toHaveProperty(key);
    expect(model).toMatchObject({ name: 'small-cnn', dim: 128 });
    expect(optimizer).toMatchObject({ name: 'lars', momentum: 0.9, nesterov: true, weightDecay: 0.0005 });
  });

  it('keeps every setting between variants with the same settings', () => {
    const file = recipe('extends: cifar10-resnet20\nmodel: {name: resnet56}\n');
    expect(loadConfig({ file }).model).toEqual({
      name: 'resnet56',
      dim: 128,
      init: 'he',
      padding: 'tensorflow',
    });
  });

  it('treats a missing name as the default variant', () => {
    const file = recipe('extends: digits\nloss: {lambda: 2, delta: {scale: 1}}\n');
    expect(loadConfig({ file, set: ['loss.name=softmax'] }).loss).toEqual({
      name: 'softmax',
      smoothing: 0,
      balance: 0,
    });
    expect(loadConfig({ file, set: ['loss.name=pod'] }).loss).toMatchObject({
      lambda: 2,
      delta: { scale: 1 },
    });
  });

  it('still rejects settings that neither variant has', () => {
    const file = recipe('extends: digits\nmodel: {chanels: [1]}\n');
    expect(() => loadConfig({ file, set: ['model.name=resnet18'] })).toThrow(
      /\d\.yaml:2:9: unknown key model\.chanels; /,
    );
  });
});

describe('a mistake is reported at its place in file or --set', () => {
  const base = recipe('data: {name: digits}\nmodel:\n  name: resnet20\n  dim: 1\n', 'base.yaml');
  it.each([
    [
      'extends: digits\nmodel:\n  name: resnet18\n  channels: [1]\n',
      [],
      /^top\.yaml:4:3: unknown key model\.channels; /,
    ],
    [
      'extends: digits\nmodel: {name: small-cnn, channels: [1, -1]}\n',
      [],
      /^top\.yaml:2:40: model\.channels\.1: /,
    ],
    ['extends: digits\ndata: {name: image-folder}\n', [], /^top\.yaml:2:8: data\.root is missing$/],
    [
      'extends: digits\n',
      ['model.name=resnet18', 'model.channels=[1]'],
      /^--set model\.channels=\[1\]: unknown key/,
    ],
    [
      'extends: digits\n',
      ['data.name=image-folder'],
      /^--set data\.name=image-folder: data\.root is missing$/,
    ],
    ['extends: base.yaml\n', [], /^base\.yaml:4:3 \(extended by top\.yaml\): model\.dim: .*>=2/],
    ['extends: base.yaml\nmodel: {dim: 4}\n', [], /^top\.yaml: learningRate is missing$/],
    ['extends: nowhere.yaml\n', [], /^top\.yaml:1:1: extends: no configuration file nowhere\.yaml/],
  ])('for %j with --set %j', (text, set, message) => {
    const file = recipe(text, 'top.yaml');
    let line = '';
    try {
      loadConfig({ file, set });
    } catch (error) {
      line = (error as Error).message.replaceAll(`${folder}/`, '');
    }
    expect(base).toContain('base.yaml');
    expect(line).toMatch(message);
  });
});
