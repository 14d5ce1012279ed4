import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import sharp from 'sharp';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Report } from '../../src/record/records.js';
import { paced, until, Workplace } from './command.js';
import { long, needs } from '../needs.js';

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

  async function trainsPastFullDisk(workers: string): Promise<void> {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=900k', 'tmpfs', disk]);
    const run = [...quick, '--workers', workers, '--out', 'disk/run'];
    const model = ['--set', 'model={name: small-cnn, channels: [8, 16, 32]}'];
    const full = await place.run(...run, ...model, '--epochs', '14', '--set', 'checkpoint.keep=0');
    expect(full, full.stderr).toMatchObject({
      code: 74,
      lastLine: expect.stringMatching(
        /^pod-dist: the run has trained to its end, but: cannot write .* to disk\/run\/checkpoints: no space is left; /,
      ),
    });
    const whole = place.checkpoints('disk/run');
    expect(whole.length).toBeGreaterThan(2);
    const lines =
      full.stdout.match(/^cannot write the checkpoint epoch-\d+ to .*: no space is left; .*$/gm) ?? [];
    expect(lines).toHaveLength(14 - whole.length);
    const report = place.report('disk/run');
    expect(report.missed).toEqual(expect.arrayContaining(lines));
    expect(readdirSync(`${disk}/run/checkpoints`)).toHaveLength(whole.length);
    expect(place.metrics('disk/run').steps).toHaveLength(14 * 3);

    execFileSync('mount', ['-o', 'remount,size=64m', disk]);
    const resumed = await place.run(...run, '--resume', '--set', 'checkpoint.keep=2');
    expect(resumed, resumed.stderr).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/changed since the checkpoint: .*checkpoint\.keep 0 -> 2/),
    });
    expect(place.checkpoints('disk/run').length).toBeLessThanOrEqual(3);
    expect(place.report('disk/run').weightsSha256).toBe(report.weightsSha256);
    expect(place.metrics('disk/run').epochs).toHaveLength(14);
  }

  const title = 'trains to its end, reports every missed checkpoint, and resumes once there is room';
  it(`with 2 workers ${title}`, () => trainsPastFullDisk('2'));
  it(`with 1 worker ${title}`, long, () => trainsPastFullDisk('1'));

  it('continues an elastic run whose log has no room either', async () => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', disk]);
    const run = [...quick, '--workers', '2', '--elastic', '--epochs', '500', '--out', 'disk/run'];
    const command = place.start(run, paced(30));
    await until('steps', () => place.made('disk/run') > 3 || undefined);
    expect(() => writeFileSync(`${disk}/fill`, Buffer.alloc(2 ** 21))).toThrow('ENOSPC');
    await command.says(/no space is left; the training goes on, and its lines are kept until there is room/);
    rmSync(`${disk}/fill`);
    const before = place.epochs('disk/run');
    await until('further epochs', () => place.epochs('disk/run') > before + 1 || undefined);
    command.child.kill('SIGTERM');
    expect(await command.ended).toMatchObject({ code: 75 });
  });

  // The inodes are just enough for the folder, lock, config, metrics, and logs of two ranks.
  it('trains to its end without inodes for checkpoints and report', async () => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m,nr_inodes=9', 'tmpfs', disk]);
    const run = [...quick, '--workers', '2', '--epochs', '2', '--out', 'disk/run'];
    const full = await place.run(...run, '--json');
    expect(full, full.stderr).toMatchObject({
      code: 74,
      stderr: expect.stringMatching(/^cannot write disk\/run\/report\.json: no space is left$/m),
    });
    const { missed = [], weightsSha256 } = JSON.parse(full.stdout) as Report;
    expect(missed.join()).toMatch(/epoch-0001 .*epoch-0002 .*evaluation\.json.*report\.json/);
    execFileSync('mount', ['-o', 'remount,nr_inodes=1000', disk]);
    const resumed = await place.run(...run, '--resume');
    expect(resumed, resumed.stderr).toMatchObject({ code: 0 });
    expect(place.report('disk/run').weightsSha256).toBe(weightsSha256);
  });
});

describe('a run whose folder is removed, or its checkpoints made read-only', () => {
  const place = new Workplace();
  afterAll(() => place.clear());

  it('trains to its end without creating the folder again, and reports that', async () => {
    const command = place.start([...quick, '--workers', '1', '--epochs', '10', '--out', 'gone']);
    await until('a checkpoint', () => place.checkpoints('gone')[0]);
    rmSync(place.path('gone'), { recursive: true });
    const ended = await command.ended;
    expect(ended, ended.stderr).toMatchObject({
      code: 74,
      stdout: expect.stringMatching(
        /^cannot write the checkpoint epoch-0010 to gone\/checkpoints: its folder is gone/m,
      ),
      stderr: expect.stringMatching(/^cannot write gone\/report\.json: its folder is gone$/m),
    });
    expect(existsSync(place.path('gone'))).toBe(false);
  });

  it('writes no checkpoint into a run folder that another job has taken', async () => {
    const command = place.start([...quick, '--workers', '2', '--epochs', '500', '--out', 'taken']);
    await until('a checkpoint', () => place.checkpoints('taken')[0]);
    const file = place.path('taken/job/job.json');
    const own = JSON.parse(readFileSync(file, 'utf8')) as object;
    writeFileSync(file, JSON.stringify({ ...own, id: 'another' }));
    await command.says(
      /cannot write the checkpoint epoch-\d+ to taken\/checkpoints: another job has taken the run/,
    );
    const before = place.checkpoints('taken');
    await command.says(/(cannot write the checkpoint [^]*){3}/);
    expect(place.checkpoints('taken')).toEqual(before);
    command.child.kill('SIGINT');
    expect(await command.ended).toMatchObject({ code: 130 });
  });

  it('trains to its end with read-only checkpoints', needs('the right to mount', canMount), async () => {
    const command = place.start([...quick, '--workers', '2', '--epochs', '10', '--out', 'fixed']);
    await until('a checkpoint', () => place.checkpoints('fixed')[0]);
    const folder = place.path('fixed', 'checkpoints');
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'ro', 'tmpfs', folder]);
    try {
      const ended = await command.ended;
      expect(ended, ended.stderr).toMatchObject({
        code: 74,
        stdout: expect.stringMatching(
          /^cannot write the checkpoint epoch-0010 to .*: the file system is read-only/m,
        ),
      });
      expect(place.report('fixed').epochs).toBe(10);
    } finally {
      execFileSync('umount', [folder]);
    }
    expect(place.checkpoints('fixed').length).toBeGreaterThan(0);
  });
});

describe('a run with a broken image', () => {
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

  it('in the test set does not start, and creates no folder', async () => {
    writeFileSync(test('bob'), readFileSync(test('bob')).subarray(0, 60));
    const { code, lastLine } = await place.run(...launch('--epochs', '5'));
    expect([code, lastLine]).toEqual([2, expect.stringContaining('faces/test/bob/0.png')]);
    expect(existsSync(place.path('run'))).toBe(false);
  });

  it('that breaks after the start keeps its last checkpoint, and cannot resume with other classes', async () => {
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
  });
});
