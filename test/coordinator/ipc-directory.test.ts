import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeIpcDirectory, removeIpcDirectory } from '../../src/coordinator/ipc-directory.js';

let parent: string;
beforeEach(() => void (parent = mkdtempSync(join(tmpdir(), 'pdt-'))));
afterEach(() => rmSync(parent, { recursive: true }));

describe('makeIpcDirectory', () => {
  it('makes a folder that names its process and that others cannot enter', () => {
    const folder = makeIpcDirectory(parent) as string;
    expect(basename(folder)).toMatch(new RegExp(`^pod-dist-ipc-${process.pid}-`));
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(makeIpcDirectory(parent)).not.toBe(folder);
  });

  it('removes folders of processes that are gone, and no others', () => {
    const gone = spawnSync(process.execPath, ['--eval', '']).pid;
    const stale = join(parent, `pod-dist-ipc-${gone}-abc`);
    const others = [
      `pod-dist-ipc-${process.pid}-abc`,
      `pod-dist-ipc-1-abc`,
      'pod-dist-ipc-x',
      `other-${gone}-abc`,
    ];
    for (const folder of [stale, ...others.map((name) => join(parent, name))]) {
      mkdirSync(folder);
      writeFileSync(join(folder, 'socket'), '');
    }
    makeIpcDirectory(parent);
    expect(existsSync(stale)).toBe(false);
    for (const name of others) expect(existsSync(join(parent, name))).toBe(true);
  });

  it('makes none where the path of a socket would be too long', () => {
    const deep = join(parent, 'x'.repeat(60));
    mkdirSync(deep);
    expect(makeIpcDirectory(deep)).toBeUndefined();
  });
});

describe('removeIpcDirectory', () => {
  it('removes the folder and what is in it, once or twice', () => {
    const folder = makeIpcDirectory(parent) as string;
    writeFileSync(join(folder, 'socket'), '');
    removeIpcDirectory(folder);
    expect(existsSync(folder)).toBe(false);
    removeIpcDirectory(folder);
    removeIpcDirectory(undefined);
  });
});
