import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UserError } from '../../src/util/errors.js';
import { readRegularFile, readRegularText } from '../../src/util/regular-file.js';
import { needs } from '../needs.js';

const folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
const at = (name: string) => join(folder, name);
const socket = createServer();

beforeAll(async () => {
  execFileSync('mkfifo', [at('pipe')]);
  mkdirSync(at('folder'));
  writeFileSync(at('text'), 'Grüße\n');
  writeFileSync(at('latin1'), Buffer.from([0x47, 0xfc, 0xdf]));
  writeFileSync(at('large'), Buffer.alloc(1001));
  writeFileSync(at('secret'), 'hidden');
  chmodSync(at('secret'), 0);
  symlinkSync('circle', at('circle'));
  symlinkSync('text', at('link'));
  symlinkSync('/dev/zero', at('zero'));
  socket.listen(at('socket'));
  await once(socket, 'listening');
});
afterAll(() => {
  socket.close();
  rmSync(folder, { recursive: true });
});

describe('readRegularFile', () => {
  it('reads a file, or the target of a link', () => {
    expect(readRegularText(at('text'), { mostBytes: 100 })).toBe('Grüße\n');
    expect(readRegularText(at('link'), { mostBytes: 8 })).toBe('Grüße\n');
    expect(readRegularFile(at('large'), { mostBytes: 1001 })).toEqual(Buffer.alloc(1001));
  });

  it.each([
    ['pipe', 'it is a named pipe, not a file'],
    ['folder', 'it is a folder, not a file'],
    ['socket', 'it is a socket, not a file'],
    ['zero', 'it is a device, not a file'],
    ['circle', 'its links lead in a circle'],
    ['nowhere', 'it does not exist'],
    ['text/x', 'a part of the path is no folder'],
    ['x'.repeat(300), 'the name is too long'],
    ['large', 'it has 2 kB, such a file has 1 kB at most'],
    ['latin1', 'it is no text in UTF-8'],
  ])('rejects %s at once with the reason', (name, reason) => {
    const read = () => readRegularText(at(name), { mostBytes: 1000 });
    expect(read).toThrow(UserError);
    expect(read).toThrow(`cannot read ${at(name)}: ${reason}`);
  });

  it('reports denied permission', needs('a user other than root', process.getuid?.() !== 0), () => {
    expect(() => readRegularFile(at('secret'), { mostBytes: 1000 })).toThrow(/secret: permission denied$/);
  });

  it('reads files of /proc, whose size is 0', () => {
    expect(readRegularText('/proc/self/status', { mostBytes: 10_000 })).toContain('Name:');
  });
});
