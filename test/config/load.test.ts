import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { configDigest, loadConfig, type LoadOptions } from '../../src/config/load.js';
import { UserError } from '../../src/util/errors.js';

const least =
  'data: {name: digits}\nmodel: {name: resnet20}\nlearningRate: {schedule: constant, rate: 0.1}\n';

let folder: string;
let files = 0;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'))));
afterAll(() => rmSync(folder, { recursive: true }));

function recipe(text: string): string {
  const file = join(folder, `${++files}.yaml`);
  writeFileSync(file, text);
  return file;
}

/** Message of the error that `loadConfig(options)` throws, which must be one line. */
function mistake(options: LoadOptions): string {
  try {
    loadConfig(options);
  } catch (error) {
    expect(error).toBeInstanceOf(UserError);
    const { message, code } = error as UserError;
    expect(code).toMatch(/^CONFIG_(INVALID|NOT_FOUND)$/);
    expect(message).not.toContain('\n');
    return message;
  }
  throw new Error('nothing was thrown');
}

describe('loadConfig', () => {
  it('reads shipped recipes by name, digits by default', () => {
    expect(loadConfig({})).toMatchObject({ name: 'digits', data: { name: 'digits' }, batchSize: 96 });
    expect(loadConfig({ file: 'digits.yaml' })).toEqual(loadConfig({}));
    expect(loadConfig({ file: 'cifar10-resnet20' })).toMatchObject({
      name: 'cifar10-resnet20',
      batchSize: 128,
      epochs: 3,
      data: { name: 'image-folder', augment: { cropPadding: 4, flip: true } },
      model: { name: 'resnet20' },
      optimizer: { momentum: 0.9, nesterov: true, weightDecay: 5e-4 },
      learningRate: { schedule: 'one-cycle', rate: 0.2, warmup: 0.25 },
    });
  });

  it('prefers --set to the file, and flags to both', () => {
    const file = recipe(`${least}batchSize: 32\nepochs: 5\nseed: 9\n`);
    const config = loadConfig({
      file,
      set: ['epochs=6', 'seed=7', 'loss.delta.scale=0.5', 'data.augment={flip: true}'],
      flags: [
        { path: 'seed', value: 8, source: '--seed' },
        { path: 'distributed.port', value: 99, source: '--port' },
      ],
    });
    expect(config).toMatchObject({ batchSize: 32, epochs: 6, seed: 8, workers: 1 });
    expect(config.loss).toMatchObject({ delta: { scale: 0.5 } });
    expect(config.distributed.port).toBe(99);
    expect(config.data.augment).toMatchObject({ cropPadding: 0, flip: true, cutout: 0 });
  });

  it('starts from given settings without changing them', () => {
    const base = loadConfig({});
    const config = loadConfig({ base, set: ['optimizer.momentum=0.5'] });
    expect(config.optimizer).toMatchObject({ momentum: 0.5 });
    expect(base.optimizer).toMatchObject({ momentum: 0.9 });
  });

  it.each([
    ['nowhere', /^no configuration file nowhere: /],
    ['/nowhere/x.yaml', /^no configuration file \/nowhere\/x\.yaml: /],
    [tmpdir(), /^cannot read .*: it is a folder, not a file$/],
  ])('rejects the file %s, which it cannot read', (file, message) => {
    expect(mistake({ file })).toMatch(message);
  });

  it.each([
    ['a: b: c', /is not YAML: .* at line 1, column 4$/],
    [`${least}epochs: 3\nepochs: 4`, /is not YAML: .*twice at line 5, column 1$/],
    ['a: [1', /is not YAML: .* at line 1/],
    ['a: "x', /is not YAML: .* at line 1/],
    ['\tseed: 1', /is not YAML: .* at line 1/],
    ['a: 1\n---\nb: 2', /is not YAML: .* at line 2/],
    ['seed: *anchor', /is not YAML: its aliases stand for too much, or for nothing$/],
    ['just words', /a recipe is a list of "key: value" lines/],
    ['- seed', /a recipe is a list of "key: value" lines/],
    ['', /data is missing$/],
  ])('rejects a file of %j with its path', (text, message) => {
    const file = recipe(text);
    const line = mistake({ file });
    expect(line).toContain(file);
    expect(line).toMatch(message);
  });

  it.each([
    ['batchsize: 3', /unknown key batchsize; did you mean batchSize\?$/],
    ['optimizer: {momentun: 0.9}', /unknown key optimizer\.momentun; did you mean momentum\?$/],
    [
      'checkpoint: {zzzzzz: 1}',
      /unknown key checkpoint\.zzzzzz; known keys here: every, keep, keepBest, copyTo$/,
    ],
    ['"two\\nlines": 1', /unknown key two lines; /],
    ['__proto__: {x: 1}', /unknown key __proto__; /],
    ['batchSize: many', /batchSize: .*expected number/],
    ['backend: cuda', /backend: .*"native"\|"webgpu"\|"wasm"\|"cpu"/],
    ['epochs: ~', /epochs: .*expected number/],
  ])('rejects the line %s with its place', (line, message) => {
    const file = recipe(`${least}${line}\n`);
    expect(mistake({ file })).toMatch(
      new RegExp(`^${file.replaceAll('.', '\\.')}:4:\\d+: ${message.source}`),
    );
  });

  it('reports a misspelt key rather than the missing one', () => {
    expect(mistake({ file: recipe('modle: {name: resnet20}\n') })).toMatch(
      /unknown key modle; did you mean model/,
    );
  });

  it.each([
    ['batchSize', /^--set batchSize: write --set key=value/],
    ['=3', /^--set =3: write --set key=value/],
    ['batchsize=3', /^--set batchsize=3: unknown key batchsize; did you mean batchSize\?$/],
    ['batchSize=0', /^--set batchSize=0: batchSize: .*>=1/],
    ['batchSize=', /^--set batchSize=: batchSize: .*expected number/],
    ['seed=[1', /^--set seed=\[1 gives no value: /],
    ['seed=*x', /^--set seed=\*x gives no value: its aliases/],
    ['seed.a=3', /^--set seed\.a=3: seed holds a single value/],
    ['x.y.z=3', /^--set x\.y\.z=3: unknown key x; known keys here: name, seed/],
    ['data.name=svhn', /^--set data\.name=svhn: data\.name: there is no svhn; known are digits, cifar10/],
    ['data.root=x', /^--set data\.root=x: unknown key data\.root; known keys here: name, splitSeed/],
    ['data={name: image-folder}', /^--set data=.*: data\.root is missing$/],
    [
      'model.name=vgg',
      /^--set model\.name=vgg: model\.name: there is no vgg; .*small-cnn, resnet9, resnet20, resnet56/,
    ],
    ['__proto__.x=1', /^--set __proto__\.x=1: unknown key __proto__; /],
    ['constructor.prototype.x=1', /^--set constructor\.prototype\.x=1: unknown key constructor; /],
  ])('rejects --set %s', (assignment, message) => {
    expect(mistake({ set: [assignment] })).toMatch(message);
    expect(({} as Record<string, unknown>).x).toBeUndefined();
  });

  it('rejects a wrong flag with its setting', () => {
    const flag = (path: string, value: unknown) => ({ flags: [{ path, value, source: `--${path}` }] });
    expect(mistake(flag('workers', 0))).toMatch(/^--workers: workers: .*>=1/);
    expect(mistake(flag('epochs', NaN))).toMatch(/^--epochs: epochs: /);
  });
});

describe('configDigest', () => {
  it('is equal only for equal configurations', () => {
    expect(configDigest(loadConfig({}))).toBe(configDigest(loadConfig({})));
    expect(configDigest(loadConfig({}))).not.toBe(configDigest(loadConfig({ set: ['seed=2'] })));
  });
});
