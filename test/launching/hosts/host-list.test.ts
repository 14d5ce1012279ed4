import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readHostfile, readHosts } from '../../../src/launching/hosts/host-list.js';

const folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('readHosts', () => {
  it('reads names, users, addresses and numbers of workers', () => {
    expect(readHosts('a:4, user@b.example:2,c,[fd00::1]:8,10.0.0.1:3')).toEqual([
      { name: 'a', workers: 4 },
      { name: 'user@b.example', workers: 2 },
      { name: 'c', workers: 1 },
      { name: 'fd00::1', workers: 8 },
      { name: '10.0.0.1', workers: 3 },
    ]);
  });

  it.each([
    ['a:0', /--hosts a:0: a:0 is no host: give its name and the number/],
    ['a,,b', /: {2}is no host/],
    ['-oProxyCommand=true', /-oProxyCommand=true is no host/],
    ['a;true', /a;true is no host/],
    ['a:2,b,a:2', /a is there twice/],
    ['a:1000,b:1000', /2 hosts with 2000 workers are more than 1024/],
  ])('rejects %s', (text, message) => {
    expect(() => readHosts(text)).toThrow(message);
  });
});

describe('readHostfile', () => {
  const written = (text: string) => {
    const file = join(folder, 'hosts');
    writeFileSync(file, text);
    return file;
  };

  it('reads the formats of Open MPI and MPICH', () => {
    const file = written('# all\na slots=4 max_slots=4\nb:2   # two\n\nc\n');
    expect(readHostfile(file)).toEqual([
      { name: 'a', workers: 4 },
      { name: 'b', workers: 2 },
      { name: 'c', workers: 1 },
    ]);
  });

  it.each([
    ['a slots=two\n', /hosts, line 1: a:two is no host/],
    ['a\nb 4\n', /hosts, line 2: b 4 is no host/],
    ['# none\n', /names no host/],
  ])('rejects %j', (text, message) => {
    expect(() => readHostfile(written(text))).toThrow(message);
  });
});
