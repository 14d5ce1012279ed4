import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lastRunFolder, newRunFolder } from '../../launcher/run-folder.js';
import { UserError } from '../../src/errors.js';

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

function run(path: string): void {
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, 'config.yaml'), '');
}

describe('newRunFolder', () => {
  it('takes the first free number of the name', () => {
    expect(newRunFolder('digits')).toBe('runs/digits');
    run('runs/digits');
    expect(newRunFolder('digits')).toBe('runs/digits-2');
    run('runs/digits-2');
    expect(newRunFolder('digits')).toBe('runs/digits-3');
    expect(newRunFolder('other')).toBe('runs/other');
  });

  it('takes a folder that is given and free, and makes it', () => {
    expect(newRunFolder('digits', 'a/b/c')).toBe('a/b/c');
    expect(existsSync('a/b/c')).toBe(true);
    expect(newRunFolder('digits', 'a/b/c')).toBe('a/b/c');
  });

  it('overwrites nothing', () => {
    run('mine');
    const make = () => newRunFolder('digits', 'mine');
    expect(make).toThrow(UserError);
    expect(make).toThrow(/^mine already holds files: /);
  });

  it.each(['file', 'file/below'])('says that %s cannot be a folder', (out) => {
    writeFileSync('file', '');
    const make = () => newRunFolder('digits', out);
    expect(make).toThrow(UserError);
    expect(make).toThrow(new RegExp(`^--out ${out} cannot be a run folder: `));
  });
});

describe('lastRunFolder', () => {
  it('is the newest of the name', () => {
    expect(lastRunFolder('digits')).toBe('runs/digits');
    for (const name of ['digits', 'digits-2', 'digits-3']) run(join('runs', name));
    expect(lastRunFolder('digits')).toBe('runs/digits-3');
  });
});
