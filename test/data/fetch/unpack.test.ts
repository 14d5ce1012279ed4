import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, Header } from 'tar';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { unpackTar } from '../../../src/data/fetch/unpack.js';

describe('unpackTar', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
    mkdirSync(join(folder, 'out'));
    mkdirSync(join(folder, 'set'));
    writeFileSync(join(folder, 'set', 'a'), 'a');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const archive = () => join(folder, 'set.tar');

  it('refuses a link, and makes none', async () => {
    symlinkSync('/etc', join(folder, 'set', 'link'));
    await create({ cwd: folder, file: archive() }, ['set']);
    await expect(unpackTar(archive(), join(folder, 'out'))).rejects.toThrow('set/link (SymbolicLink)');
    expect(readdirSync(join(folder, 'out'))).toEqual(['a']);
  });

  it('comes to an end where a link leads through its own target', async () => {
    const header = new Header();
    Object.assign(header, { path: 'set/a/b', linkpath: 'set/a', mode: 0o644, uid: 0, gid: 0, size: 0 });
    Object.assign(header, { mtime: new Date(0), type: 'Link' });
    const block = Buffer.alloc(512);
    header.encode(block, 0);
    writeFileSync(archive(), Buffer.concat([block, Buffer.alloc(1024)]));
    await expect(unpackTar(archive(), join(folder, 'out'))).rejects.toThrow('set/a/b (Link)');
  });
});
