import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import module from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { cli } from '../integration/command.js';
import { needs } from '../needs.js';

const folder = mkdtempSync(join(tmpdir(), 'pod-dist-code-'));
afterAll(() => rmSync(folder, { recursive: true }));

function start(cache: string, variables: NodeJS.ProcessEnv = {}) {
  const env = { ...process.env, POD_DIST_CACHE: cache, ...variables };
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, 'config', 'list'], {
    env,
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

const ownCache = !('enableCompileCache' in module);

describe('the code cache', () => {
  it('is used by the next start, and rewritten if it is damaged', needs('Node.js 20', ownCache), () => {
    const cache = join(folder, 'kept');
    const first = start(cache);
    expect(first).toMatchObject({ status: 0, stderr: '' });
    const [name, ...others] = readdirSync(join(cache, 'code'));
    expect(others).toEqual([]);
    const file = join(cache, 'code', name);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const code = readFileSync(file);
    const { mtimeMs } = statSync(file);
    expect(start(cache)).toEqual(first);
    expect(statSync(file).mtimeMs).toBe(mtimeMs);

    const damaged = Buffer.from(code);
    for (let at = damaged.length >> 1; at < damaged.length; at += 97) damaged[at] ^= 0xff;
    for (const broken of [damaged, code.subarray(0, 1000), Buffer.of()]) {
      writeFileSync(file, broken);
      expect(start(cache)).toEqual(first);
      expect(statSync(file).size).toBeGreaterThan(code.length / 2);
      expect(readFileSync(file).equals(broken)).toBe(false);
    }
  });

  it('keeps the newest 192 files', needs('Node.js 20', ownCache), () => {
    const code = join(folder, 'old', 'code');
    mkdirSync(code, { recursive: true, mode: 0o700 });
    for (let age = 1; age <= 300; age++) {
      const file = join(code, `${age}.bin`);
      writeFileSync(file, '');
      utimesSync(file, 1e9 - age, 1e9 - age);
    }
    expect(start(join(folder, 'old')).status).toBe(0);
    const left = readdirSync(code);
    expect(left).toHaveLength(192);
    expect(left).toContain('191.bin');
    expect(left).not.toContain('192.bin');
  });

  it('is not written with NODE_DISABLE_COMPILE_CACHE, or if its folder cannot be created', () => {
    const cache = join(folder, 'none');
    expect(start(cache, { NODE_DISABLE_COMPILE_CACHE: '1' })).toMatchObject({ status: 0, stderr: '' });
    expect(() => readdirSync(cache)).toThrow('ENOENT');
    const file = join(folder, 'file');
    writeFileSync(file, '');
    expect(start(file)).toMatchObject({ status: 0, stderr: '' });
  });

  it('is not written to a folder that others may write to', () => {
    const cache = join(folder, 'shared');
    mkdirSync(join(cache, 'code'), { recursive: true });
    chmodSync(join(cache, 'code'), 0o777);
    expect(start(cache)).toMatchObject({ status: 0, stderr: '' });
    expect(readdirSync(join(cache, 'code'))).toEqual([]);
  });
});
