import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import sharp from 'sharp';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { until, Workplace } from './command.js';
import { needs } from '../needs.js';

const quick = ['launch', '--backend', 'wasm', '--set', 'batchSize=480'];

function mounts(folder: string): boolean {
  try {
    mkdirSync(folder, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder], { stdio: 'ignore' });
    execFileSync('umount', [folder]);
    return true;
  } catch {
    return false;
  }
}

const probe = new Workplace();
const canMount = mounts(probe.path('mounted'));
afterAll(() => probe.clear());

describe('a run on a file system that fills up', needs('the right to mount', canMount), () => {
  const place = new Workplace();
  const disk = place.path('disk');
  beforeAll(() => mkdirSync(disk));
  afterEach(() => void execFileSync('umount', [disk]));
  afterAll(() => place.clear());

  it.each(['1', '2'])(
    'of %s workers ends in one line, and goes on once there is room',
    async (workers) => {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2500k', 'tmpfs', disk]);
      const run = [...quick, '--workers', workers, '--out', 'disk/run'];
      const model = ['--set', 'model={name: small-cnn, channels: [8, 16, 32]}'];
      const full = await place.run(...run, ...model, '--epochs', '200', '--set', 'checkpoint.keep=0');
      expect(full, full.stderr).toMatchObject({
        code: 2,
        lastLine: expect.stringMatching(
          /^pod-dist: cannot write the (?:checkpoint|evaluation) of epoch \d+ to disk\/run\/checkpoints: no space is left; whole checkpoints there: epoch-0001, .*make room \(a smaller checkpoint\.keep/,
        ),
      });
      const whole = place.checkpoints('disk/run');
      expect(
        execFileSync('ls', ['-A', `${disk}/run/checkpoints`])
          .toString()
          .trim()
          .split('\n'),
      ).toEqual(whole);
      execFileSync('mount', ['-o', 'remount,size=64m', disk]);
      const epochs = String(whole.length + 1);
      const resumed = await place.run(...run, '--resume', '--epochs', epochs, '--set', 'checkpoint.keep=2');
      expect(resumed, resumed.stderr).toMatchObject({
        code: 0,
        stderr: expect.stringMatching(/changed since the checkpoint: .*checkpoint\.keep 0 -> 2/),
      });
      expect(place.checkpoints('disk/run').length).toBeLessThanOrEqual(3);
      expect(place.metrics('disk/run').epochs).toHaveLength(whole.length + 1);
    },
    90_000,
  );
});

describe('a run on a file system that takes no further file', needs('the right to mount', canMount), () => {
  const place = new Workplace();
  const disk = place.path('disk');
  beforeAll(() => mkdirSync(disk));
  afterEach(() => void execFileSync('umount', [disk]));
  afterAll(() => place.clear());

  // Besides the folder itself: lock, config, metrics, logs of two ranks; then two checkpoints and the evaluation.
  it.each([
    [
      9,
      /^pod-dist: cannot write the checkpoint of epoch 1 to disk\/run\/checkpoints: no space is left; whole/,
    ],
    [22, /^pod-dist: cannot write disk\/run\/report\.json: no space is left; once that is mended, --resume/],
  ])(
    'ends in one line, and goes on once there is room: %i files',
    async (files, line) => {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=64m,nr_inodes=${files}`, 'tmpfs', disk]);
      const run = [...quick, '--workers', '2', '--epochs', '2', '--out', 'disk/run'];
      const full = await place.run(...run);
      expect(full, full.stderr).toMatchObject({
        code: 2,
        lastLine: expect.stringMatching(line),
      });
      execFileSync('mount', ['-o', 'remount,nr_inodes=1000', disk]);
      const resumed = await place.run(...run, '--resume');
      expect(resumed, resumed.stderr).toMatchObject({ code: 0 });
      expect(place.metrics('disk/run').epochs).toHaveLength(2);
    },
    60_000,
  );
});

describe('a run on images of which one is broken', () => {
  let place: Workplace;
  const test = (name: string) => place.path('faces', 'test', name, '0.png');
  beforeEach(async () => {
    place = new Workplace();
    for (const [index, name] of ['ada', 'bob'].entries()) {
      for (const split of ['train', 'test']) {
        const folder = place.path('faces', split, name);
        mkdirSync(folder, { recursive: true });
        const background = { r: 200 * index, g: 80, b: 40 };
        const image = sharp({ create: { width: 8, height: 8, channels: 3, background } });
        for (let number = 0; number < 4; number++)
          await image.clone().png().toFile(`${folder}/${number}.png`);
      }
    }
    writeFileSync(
      place.path('faces.yaml'),
      `extends: digits
name: faces
backend: wasm
batchSize: 4
data: {name: image-folder, root: faces, size: 8, cache: {memoryMegabytes: 0, diskMegabytes: 0}}
`,
    );
  });
  afterEach(() => place.clear());
  const launch = (...args: string[]) => ['launch', '--config', 'faces.yaml', '--out', 'run', ...args];

  it('in the test set does not start, and leaves no folder', async () => {
    writeFileSync(test('bob'), readFileSync(test('bob')).subarray(0, 60));
    const { code, lastLine } = await place.run(...launch('--epochs', '5'));
    expect([code, lastLine]).toEqual([2, expect.stringContaining('faces/test/bob/0.png')]);
    expect(existsSync(place.path('run'))).toBe(false);
  }, 60_000);

  it('since it has started keeps the checkpoint of its epoch, and other classes are no way to go on', async () => {
    const command = place.start(launch('--epochs', '500', '--set', 'checkpoint.keep=0'));
    await until('a first epoch', () => place.epochs('run') || undefined);
    const image = readFileSync(test('bob'));
    writeFileSync(test('bob'), image.subarray(0, 60));
    const { code, lastLine } = await command.ended;
    expect([code, lastLine]).toEqual([2, expect.stringContaining('faces/test/bob/0.png')]);
    const trained = place.metrics('run').steps.length / 2;
    expect(place.checkpoints('run')).toHaveLength(trained);
    expect(place.metrics('run').epochs).toHaveLength(trained - 1);

    writeFileSync(test('bob'), image);
    const resume = launch('--resume', '--epochs', String(trained + 1));
    for (const split of ['train', 'test'])
      renameSync(place.path('faces', split, 'bob'), place.path('faces', split, 'zoe'));
    const renamed = await place.run(...resume);
    expect(renamed).toMatchObject({
      code: 2,
      lastLine: expect.stringMatching(/the class bob is now named zoe/),
    });
    for (const split of ['train', 'test'])
      renameSync(place.path('faces', split, 'zoe'), place.path('faces', split, 'bob'));
    const resumed = await place.run(...resume);
    expect(resumed, resumed.stderr).toMatchObject({ code: 0 });
    expect(place.metrics('run').epochs.map(({ epoch }) => epoch)).toEqual([...Array(trained + 1).keys()]);
  }, 60_000);
});
