import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { givenSecret, newSecret } from '../../../src/job/secret/read-secret.js';
import { needs } from '../../needs.js';

const root = process.getuid?.() === 0;
const secret = newSecret();
let folder: string;
let home: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pod-dist-secret-'));
  home = join(folder, 'pod-dist', 'token');
  mkdirSync(join(folder, 'pod-dist'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function put(file: string, mode: number, text = `${secret}\n`): string {
  writeFileSync(file, text);
  chmodSync(file, mode);
  return file;
}
const given = (more: Record<string, string> = {}) => givenSecret({ XDG_CONFIG_HOME: folder, ...more });
const named = (file: string) => given({ POD_DIST_TOKEN_FILE: file });

describe('givenSecret', () => {
  it("prefers POD_DIST_TOKEN to POD_DIST_TOKEN_FILE, and that to the user's file", () => {
    expect(given()).toBeUndefined();
    put(home, 0o600);
    expect(given()).toBe(secret);
    const file = put(join(folder, 'other'), 0o400, 'another secret of a job');
    expect(named(file)).toBe('another secret of a job');
    expect(given({ POD_DIST_TOKEN_FILE: file, POD_DIST_TOKEN: 'one in the environment' })).toBe(
      'one in the environment',
    );
  });

  it('rejects secrets under 16 characters; new secrets have 64 random digits', () => {
    expect(newSecret()).toMatch(/^[0-9a-f]{64}$/);
    expect(newSecret()).not.toBe(newSecret());
    expect(() => given({ POD_DIST_TOKEN: 'short' })).toThrow(
      /^POD_DIST_TOKEN has 5 characters: give at least 16, /,
    );
    expect(() => named(put(join(folder, 'x'), 0o600, ''))).toThrow(/has 0 characters/);
  });

  it.each([0o644, 0o640, 0o604, 0o620, 0o660])("rejects the user's file with mode %o", (mode) => {
    put(home, mode);
    expect(() => given()).toThrow(/pod-dist\/token is not used: others may use it: chmod 600/);
  });

  it("rejects a link as the user's file, and pipes, folders and missing files", () => {
    symlinkSync(put(join(folder, 'x'), 0o600), home);
    expect(() => given()).toThrow(/it is a link/);
    execFileSync('mkfifo', ['-m', '600', join(folder, 'pipe')]);
    expect(() => named(join(folder, 'pipe'))).toThrow(/it is a named pipe/);
    expect(() => named(folder)).toThrow(/it is a folder/);
    expect(() => named(join(folder, 'none'))).toThrow(/it does not exist/);
  });

  it('reads a mounted secret of Kubernetes: links in a folder, mode 0440', () => {
    mkdirSync(join(folder, '..2026'));
    put(join(folder, '..2026', 'token'), root ? 0o440 : 0o400);
    symlinkSync('..2026', join(folder, '..data'));
    symlinkSync('..data/token', join(folder, 'token'));
    expect(named(join(folder, 'token'))).toBe(secret);
  });

  it('rejects a named file that others can read or write', () => {
    const file = join(folder, 'x');
    for (const mode of [0o644, 0o604]) expect(() => named(put(file, mode))).toThrow(/everybody may read it/);
    for (const mode of [0o620, 0o602]) expect(() => named(put(file, mode))).toThrow(/others may write to it/);
  });

  it('rejects a file of another user', needs('root', root), () => {
    const file = put(join(folder, 'x'), 0o600);
    chownSync(file, 65_534, 65_534);
    expect(() => named(file)).toThrow(/it belongs to another user/);
    put(home, 0o600);
    chownSync(home, 65_534, 65_534);
    expect(() => given()).toThrow(/it belongs to another user/);
  });
});
