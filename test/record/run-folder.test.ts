import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lastRunFolder, RunFolder } from '../../src/record/run-folder.js';

const home = process.cwd();
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
  process.chdir(folder);
});
afterEach(() => {
  process.chdir(home);
  rmSync(folder, { recursive: true });
});

/** Writes the files of a started run; with `steps` it has trained. */
function begun(path: string, steps = ''): void {
  for (const part of ['logs', 'checkpoints']) mkdirSync(join(path, part), { recursive: true });
  writeFileSync(join(path, 'config.yaml'), 'name: digits\n');
  writeFileSync(join(path, 'metrics.jsonl'), steps);
}

describe('RunFolder.claim', () => {
  it('gives simultaneous jobs different numbers after the name, and skips existing folders', async () => {
    mkdirSync('runs/digits-2', { recursive: true });
    const claimed = await Promise.all([1, 2, 3, 4].map(() => RunFolder.claim('digits')));
    expect(claimed.map(({ path }) => path).sort()).toEqual([
      'runs/digits',
      'runs/digits-3',
      'runs/digits-4',
      'runs/digits-5',
    ]);
    expect((await RunFolder.claim('other')).path).toBe('runs/other');
  });

  it('takes or creates the given folder for one job at a time', async () => {
    const first = await RunFolder.claim('digits', { out: 'a/b/c' });
    expect(first.path).toBe('a/b/c');
    const busy = { code: 'RUN_BUSY', message: expect.stringContaining(`process ${process.pid} on host`) };
    await expect(RunFolder.claim('digits', { out: 'a/b/c' })).rejects.toMatchObject(busy);
    begun('a/b/c', '{}\n');
    await expect(RunFolder.reclaim('a/b/c')).rejects.toMatchObject(busy);
    first.release();
    const exists = { code: 'RUN_EXISTS', message: expect.stringMatching(/^a\/b\/c already holds files: /) };
    await expect(RunFolder.claim('digits', { out: 'a/b/c' })).rejects.toMatchObject(exists);
    (await RunFolder.reclaim('a/b/c')).release();
  });

  it('takes the folder of a failed start, and no folder with other files', async () => {
    begun('left');
    (await RunFolder.claim('digits', { out: 'left' })).release();
    begun('mine');
    writeFileSync('mine/notes.txt', '');
    mkdirSync('recipes');
    writeFileSync('recipes/config.yaml', '');
    for (const out of ['mine', 'recipes']) {
      await expect(RunFolder.claim('digits', { out })).rejects.toMatchObject({ code: 'RUN_EXISTS' });
      await expect(RunFolder.reclaim(out)).rejects.toMatchObject({ code: 'RUN_EXISTS' });
    }
    expect(readdirSync('recipes')).toEqual(['config.yaml']);
  });

  it.each(['file', 'file/below'])('rejects %s, which cannot be a folder', async (out) => {
    writeFileSync('file', '');
    await expect(RunFolder.claim('digits', { out })).rejects.toMatchObject({
      name: 'UserError',
      code: 'RUN_FOLDER_INVALID',
      message: expect.stringMatching(new RegExp(`^--out ${out} cannot be a run folder: `)),
    });
  });

  it('creates folders with mode 700, or 755 if they are not confidential', async () => {
    const umask = process.umask(0o022);
    try {
      const modeOf = async (confidential?: boolean) =>
        statSync((await RunFolder.claim('digits', { confidential })).path).mode & 0o777;
      expect([await modeOf(), await modeOf(false)]).toEqual([0o700, 0o755]);
    } finally {
      process.umask(umask);
    }
  });

  it('is undone by abandon only for a folder that it has created and that has not trained', async () => {
    mkdirSync('given');
    const [given, untrained, trained] = [
      await RunFolder.claim('digits', { out: 'given' }),
      await RunFolder.claim('untrained'),
      await RunFolder.claim('trained'),
    ];
    begun(given.path);
    begun(untrained.path);
    begun(trained.path, '{}\n');
    for (const claimed of [given, untrained, trained]) claimed.abandon();
    expect([given, untrained, trained].map(({ path }) => existsSync(path))).toEqual([true, false, true]);
    expect(readdirSync('runs/trained').sort()).toEqual([
      'checkpoints',
      'config.yaml',
      'logs',
      'metrics.jsonl',
    ]);
  });
});

describe('lastRunFolder', () => {
  it('gives the run of this name that was written last, whatever its number', () => {
    expect(lastRunFolder('digits')).toBeUndefined();
    ['digits', 'digits-2', 'digits-4', 'digits-big'].forEach((name, index) => {
      const path = join('runs', name);
      begun(path, '{}\n');
      for (const part of readdirSync(path)) utimesSync(join(path, part), 1000 + index, 1000 + index);
    });
    writeFileSync('runs/digits-4/config.yaml', 'name: digits-4\n');
    mkdirSync('runs/digits-3');
    chmodSync('runs/digits', 0o700);
    expect(lastRunFolder('digits')).toBe('runs/digits-2');
    writeFileSync('runs/digits/metrics.jsonl', '{}\n{}\n');
    expect(lastRunFolder('digits')).toBe('runs/digits');
  });
});
