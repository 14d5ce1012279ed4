import { existsSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { makeFolder } from '../../src/util/make-folder.js';
import { needs } from '../needs.js';

const folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('makeFolder', () => {
  it('creates missing folders with the given mode, and keeps existing ones', () => {
    const deep = join(folder, 'a', 'b', 'c');
    makeFolder(deep, 0o700);
    makeFolder(deep);
    for (const made of ['a', 'a/b', 'a/b/c']) expect(statSync(join(folder, made)).mode & 0o777).toBe(0o700);
    symlinkSync('a', join(folder, 'link'));
    makeFolder(join(folder, 'link', 'd'));
    makeFolder(join(folder, 'link'));
    expect(existsSync(join(folder, 'a', 'd'))).toBe(true);
  });

  it('throws if a file is in the way', () => {
    writeFileSync(join(folder, 'file'), '');
    expect(() => makeFolder(join(folder, 'file'))).toThrow('EEXIST');
    expect(() => makeFolder(join(folder, 'file', 'a', 'b'))).toThrow('ENOTDIR');
    symlinkSync('nowhere', join(folder, 'dangling'));
    expect(() => makeFolder(join(folder, 'dangling', 'a'))).toThrow(/E(NOENT|EXIST)/);
  });

  it('throws if the system cannot create the folder', needs('Linux', process.platform === 'linux'), () => {
    expect(() => makeFolder('/proc/none/a/b')).toThrow('ENOENT');
  });
});
