import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readJobEnvironment } from '../../src/job/join/environment.js';
import { loadConfig } from '../../src/config/load.js';
import { UserError } from '../../src/util/errors.js';
import { generateCentroids } from '../../src/pedcc/index.js';
import { Workplace } from '../integration/command.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const place = new Workplace();
const folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
const at = (name: string) => join(folder, name);
const least =
  'data: {name: digits}\nmodel: {name: resnet20}\nlearningRate: {schedule: constant, rate: 0.1}\n';

beforeAll(() => {
  mkdirSync(at('digits'));
  mkdirSync(at('folder.yaml'));
  execFileSync('mkfifo', [at('pipe')]);
  symlinkSync('/dev/zero', at('zero'));
  symlinkSync('circle', at('circle'));
  writeFileSync(at('passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  writeFileSync(at('binary'), Buffer.from([0xff, 0xfe, 0x00, 0x80]));
  writeFileSync(at('large'), '# '.padEnd(300_000, 'x'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
  return place.clear();
});

function expectMistake(work: () => unknown, message: RegExp): void {
  let thrown: unknown;
  try {
    work();
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(UserError);
  const line = (thrown as Error).message;
  expect(line).toMatch(message);
  expect(line).not.toContain('\n');
  expect(line.length).toBeLessThan(1000);
  expect(line).not.toContain('/bin/sh');
}

describe('loadConfig rejects in one line', () => {
  it.each([
    ['folder.yaml', /it is a folder, not a file$/],
    ['pipe', /it is a named pipe, not a file$/],
    ['zero', /it is a device, not a file$/],
    ['circle', /its links lead in a circle$/],
    ['binary', /no text in UTF-8$/],
    ['large', /it has 300 kB, such a file has 256 kB at most$/],
    ['passwd', /passwd(, extended by .*)?: a recipe is a list of "key: value" lines$/],
    ['passwd/x', /no configuration file .*passwd\/x/],
    ['x'.repeat(300), /the name is too long$/],
  ])('the file %s, as --config and in extends', (name, message) => {
    expectMistake(() => loadConfig({ file: at(name) }), message);
    writeFileSync(at('own.yaml'), `extends: ${at(name)}\n`);
    expectMistake(() => loadConfig({ file: at('own.yaml') }), message);
  });

  it.each([
    ['extends: [a]', /own\.yaml:4:1: extends is the path/],
    ['extends: ""', /own\.yaml:4:1: extends is the path/],
    ['extends: 3', /own\.yaml:4:1: extends is the path/],
    ['seed: .nan', /own\.yaml:4:1: seed: .*NaN/],
    ['seed: .inf', /own\.yaml:4:1: seed: .*Infinity/],
    ['seed: 99999999999999999999', /own\.yaml:4:1: seed: /],
    ['seed: -1', /own\.yaml:4:1: seed: .*>=0/],
    ['workers: 1000000', /workers: .*<=1024/],
    ['batchSize: 1.5', /batchSize: .*int/],
    ['batchSize: 1e9', /batchSize: .*<=1048576/],
    ['epochs: "3"', /epochs: .*expected number, received string/],
    ['accumulate: true', /accumulate: .*received boolean/],
    ['name: ../../etc', /name: letters, digits/],
    [`name: ${'a'.repeat(200)}`, /name: .*<=100/],
    ['optimizer: 3', /optimizer: /],
    ['optimizer: [sgd]', /optimizer: /],
    ['optimizer: {name: sdg}', /optimizer\.name: /],
    ['loss: {name: arcface, margin: 4}', /own\.yaml:4:23: loss\.margin: .*<=3/],
    ['distributed: {stallTimeoutSeconds: 1e10}', /stallTimeoutSeconds: .*<=1000000/],
    ['distributed: {port: -1}', /port: .*>=0/],
    ['distributed: {bitwise: 3}', /bitwise: must be a power of two/],
    ['toString: 1', /unknown key toString; /],
    ['constructor: {prototype: {x: 1}}', /unknown key constructor; /],
    ['? [a]\n: 1', /unknown key /],
    ['1: 2', /unknown key 1; /],
  ])('the line %s', (line, message) => {
    writeFileSync(at('own.yaml'), `${least}${line}\n`);
    expectMistake(() => loadConfig({ file: at('own.yaml') }), message);
  });

  it.each([
    ['model.channels=[1000000]', /model\.channels\.0: .*<=16384/],
    ['model.channels=[16000, 16000]', /model\.channels: .*more than 268,435,456 weights/],
    [`model.channels=[${'1,'.repeat(101)}]`, /model\.channels: .*<=100/],
    ['model.dim=1000000', /model\.dim: .*<=16384/],
    ['learningRate.rate=.inf', /learningRate\.rate: /],
    ['data.augment.cropPadding=100000', /cropPadding: .*<=4096/],
    [`trace=${'x'.repeat(5000)}`, /trace: .*<=4096/],
  ])('--set %s', (assignment, message) => {
    expectMistake(() => loadConfig({ set: [assignment] }), message);
  });
});

describe('generateCentroids rejects in one line', () => {
  it.each([
    [1_000_000, 1_000_000],
    [2 ** 40, 2],
    [3, 2 ** 40],
  ])('%i centroids of %i dimensions, which do not fit into memory', (classes, dim) => {
    expectMistake(() => generateCentroids({ classes, dim, seed: 1 }), /take \d+ GB, \d+ GB at most/);
  });
});

describe('readJobEnvironment rejects in one line', () => {
  const whole = { RANK: '0', WORLD_SIZE: '2', MASTER_ADDR: 'localhost', MASTER_PORT: '29500' };
  it.each([
    [{}, /needs RANK and WORLD_SIZE/],
    [{ ...whole, RANK: '2' }, /RANK is 2, but WORLD_SIZE is 2/],
    [{ ...whole, RANK: '-1' }, /RANK is "-1"/],
    [{ ...whole, RANK: 'a\nb' }, /RANK is "a b"/],
    [{ ...whole, WORLD_SIZE: '' }, /WORLD_SIZE/],
    [{ ...whole, WORLD_SIZE: '1e99' }, /WORLD_SIZE is "1e99"/],
    [{ ...whole, MASTER_PORT: '0' }, /MASTER_PORT is "0"/],
    [{ ...whole, MASTER_PORT: '65536' }, /MASTER_PORT is "65536"/],
    [{ ...whole, LOCAL_RANK: 'x' }, /LOCAL_RANK is "x"/],
  ])('%j', (environment, message) => {
    expectMistake(() => readJobEnvironment(environment as never), message);
  });
});

describe('a wrong flag gives one line and exit code 2:', () => {
  const mistakes: [args: string[], message: RegExp][] = [
    [['launch', '--workers', 'abc'], /--workers: workers: .*received NaN/],
    [['launch', '--set.a=b'], /Unknown argument/],
    [['launch', '--no-config'], /Unknown argument/],
    [['launch', '--gpus', '0'], /--gpus 0: give a number from 1 on, or all/],
    [['launch', '--port', '99999'], /distributed\.port: .*<=65535/],
    [['launch', '--config', '/dev/zero'], /it is a device, not a file/],
    [['centroids', '-k', '1000000', '-d', '1000000'], /take 4000 GB/],
    [['config', 'show', '--set', 'model.channels=[1000000]'], /<=16384/],
  ];

  it.each(mistakes)('pod-dist %j', async (args, message) => {
    const { code, stderr } = await place.ask(...args);
    expect(stderr).toMatch(/^pod-dist: [^\n]+\n$/);
    expect(stderr).toMatch(message);
    expect([code, readdirSync(place.folder)]).toEqual([2, []]);
  });
});

describe('error messages', () => {
  const read = (path: string) => readFileSync(join(root, path), 'utf8');
  const sources = ['src', 'launcher'].flatMap((top) =>
    readdirSync(join(root, top), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => join(top, file)),
  );
  /** Texts with flags of other programs. */
  const foreign = /taskset|torchrun|srun|mpirun|nvidia-smi|npm|pip|python|g\+\+|docker|ip |node /;

  it('name only flags that a command has', () => {
    const declared = new Set(['json', 'help', 'version']);
    for (const file of sources.filter((file) => file.startsWith('launcher'))) {
      for (const [, name] of read(file).matchAll(
        /(?:option\(\s*|positional\(\s*|flag: |^ {2,4})'?([a-z][a-z-]*)'?[,:]/gm,
      ))
        declared.add(name);
    }
    const unknown = sources.flatMap((file) =>
      [...read(file).matchAll(/new (?:User|PodDist)Error\(([\s\S]*?)\);/g)]
        .filter(([, text]) => !foreign.test(text))
        .flatMap(([, text]) =>
          [...text.matchAll(/(?<![\w-])--([a-z][a-z-]+)/g)].map(([, flag]) => `${file}: --${flag}`),
        )
        .filter((found) => !declared.has(found.replace(/^.*--/, ''))),
    );
    expect(sources.length).toBeGreaterThan(100);
    expect(unknown).toEqual([]);
  });
});
