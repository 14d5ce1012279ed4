import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { Header } from 'tar';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { unpackTar, unpackZip } from '../../src/util/unpack.js';
import { zip } from '../data/fetch/zip.js';

interface TarEntry {
  path: string;
  content?: Buffer;
  mode?: number;
  type?: 'File' | 'Directory' | 'SymbolicLink' | 'Link' | 'FIFO' | 'CharacterDevice';
  linkpath?: string;
}

function tar(...entries: TarEntry[]): Buffer {
  const blocks = entries.map(({ path, content = Buffer.alloc(0), mode = 0o644, type = 'File', linkpath }) => {
    const block = Buffer.alloc(512 + 512 * Math.ceil(content.length / 512));
    new Header({ path, mode, type, linkpath, size: content.length, uid: 12345, gid: 54321 }).encode(block, 0);
    content.copy(block, 512);
    return block;
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

let place: string;
let folder: string;
beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
  folder = join(place, 'content');
  mkdirSync(folder);
});
afterEach(() => rmSync(place, { recursive: true }));

function archive(bytes: Buffer): string {
  const file = join(place, 'archive');
  writeFileSync(file, bytes);
  return file;
}

describe('unpackTar', () => {
  it('ignores owners and permissions, except the permission to run a file', async () => {
    await unpackTar(
      archive(
        tar(
          { path: 'top/', type: 'Directory', mode: 0o7777 },
          { path: 'top/sub/', type: 'Directory', mode: 0o7777 },
          { path: 'top/sub/program', content: Buffer.from('#!'), mode: 0o7777 },
          { path: 'top/data', content: Buffer.from('data'), mode: 0o6666 },
        ),
      ),
      folder,
    );
    const state = (name: string) => {
      const { mode, uid, gid } = statSync(join(folder, name));
      return [(mode & 0o7777 & ~0o022).toString(8), mode & 0o7022, uid, gid];
    };
    const own = [process.getuid?.(), process.getgid?.()];
    expect(state('sub')).toEqual(['755', 0, ...own]);
    expect(state('sub/program')).toEqual(['755', 0, ...own]);
    expect(state('data')).toEqual(['644', 0, ...own]);
    expect(readFileSync(join(folder, 'data'), 'utf8')).toBe('data');
  });

  it.each([
    [{ path: 'top/link', type: 'SymbolicLink', linkpath: '/etc' }, /SymbolicLink/],
    [{ path: 'top/link', type: 'SymbolicLink', linkpath: 'data' }, /SymbolicLink/],
    [{ path: 'top/link', type: 'Link', linkpath: 'top/data' }, /Link/],
    [{ path: 'top/a/b', type: 'Link', linkpath: 'top/a' }, /top\/a\/b \(Link\)/],
    [{ path: 'top/pipe', type: 'FIFO' }, /FIFO|UNSUPPORTED|unsupported/],
    [{ path: 'top/../../escaped', content: Buffer.from('1') }, /path contains|\.\./],
  ] as [TarEntry, RegExp][])('rejects %j', async (entry, reason) => {
    await expect(unpackTar(archive(tar(entry)), folder)).rejects.toThrow(reason);
    expect(readdirSync(place).sort()).toEqual(['archive', 'content']);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('accepts links between shared libraries with libraryLinks, and no other links', async () => {
    const options = { strip: 0, libraryLinks: true };
    const link = (linkpath: string) =>
      tar(
        { path: 'lib/a.so.2', content: Buffer.from('library') },
        { path: 'lib/a.so', type: 'SymbolicLink', linkpath },
      );
    await unpackTar(archive(gzipSync(link('a.so.2'))), folder, options);
    expect(readFileSync(join(folder, 'lib', 'a.so'), 'utf8')).toBe('library');
    for (const target of ['..', '../..', '/etc/passwd']) {
      await expect(unpackTar(archive(link(target)), folder, options)).rejects.toThrow('SymbolicLink');
    }
  });

  it('stops at its limit of bytes, in little memory', async () => {
    const zeros = gzipSync(tar({ path: 'top/zeros', content: Buffer.alloc(2 ** 28) }), { level: 9 });
    expect(zeros.length).toBeLessThan(300_000);
    const before = process.memoryUsage().rss;
    await expect(unpackTar(archive(zeros), folder)).rejects.toThrow(/holds more than the \d+ bytes/);
    expect(process.memoryUsage().rss - before).toBeLessThan(2 ** 27);
    expect(statSync(join(folder, 'zeros'), { throwIfNoEntry: false })?.size ?? 0).toBeLessThan(2 ** 26);
  });

  it('rejects an archive that is compressed twice', async () => {
    const twice = gzipSync(gzipSync(tar({ path: 'top/zeros', content: Buffer.alloc(2 ** 20) })));
    await expect(unpackTar(archive(twice), folder)).rejects.toThrow('compressed twice');
    expect(readdirSync(folder)).toEqual([]);
  });

  it('stops at its limit of files', async () => {
    const many = tar(...Array.from({ length: 1000 }, (_, index) => ({ path: `top/${index}` })));
    await expect(unpackTar(archive(many), folder, { entries: 100 })).rejects.toThrow(
      'it holds more than 100 files',
    );
    expect(readdirSync(folder).length).toBeLessThanOrEqual(100);
  });
});

describe('unpackZip', () => {
  it('rejects archives over its limits of files and bytes, and overwrites no file', async () => {
    const files = { 'top/a': Buffer.from('a'), 'top/b': Buffer.from('bb'), 'top/c': Buffer.from('c') };
    await expect(unpackZip(archive(zip(files)), folder, { entries: 2 })).rejects.toThrow('more than 2 files');
    rmSync(folder, { recursive: true });
    await expect(unpackZip(archive(zip(files)), folder, { bytes: 2 })).rejects.toThrow(
      'more than the 2 bytes',
    );
    rmSync(folder, { recursive: true });
    await unpackZip(archive(zip(files)), folder);
    await expect(unpackZip(archive(zip(files)), folder)).rejects.toThrow('EEXIST');
    expect(statSync(join(folder, 'a')).mode & 0o7133).toBe(0);
  });

  it('unpacks the wanted names, and ignores permissions except the permission to run a file', async () => {
    const files = { 'top/bin/program': Buffer.from('#!'), 'top/program.py': Buffer.from('print()') };
    const wanted = (name: string) => name.startsWith('top/bin/');
    await unpackZip(archive(zip(files, 0o6777)), folder, { strip: 0, wanted });
    expect(readdirSync(folder, { recursive: true })).toEqual(['top', 'top/bin', 'top/bin/program']);
    expect(statSync(join(folder, 'top', 'bin', 'program')).mode & 0o7777 & ~0o022).toBe(0o755);
  });
});
