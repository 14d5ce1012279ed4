import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { asFlags, fewSteps, Workplace } from './command.js';

let place: Workplace;
let weights: string;

/**
 * A module to preload that hides Linux's files from the process, its threads and its children, and notes each file that
 * was asked for. With `POD_DIST_NO_USERS` it also hides user ids, as on Windows.
 */
const preload = `
const fs = require('node:fs');
const refused = /^\\/(proc|sys|dev\\/shm)(\\/|$)/;
const names = ['readFileSync', 'readlinkSync', 'statSync', 'lstatSync', 'accessSync', 'existsSync', 'openSync', 'mkdirSync', 'readdirSync'];
const append = fs.appendFileSync;
for (const name of names) {
  const real = fs[name];
  fs[name] = function (path, ...rest) {
    if (name === 'mkdirSync' && /pod-dist-\\d+$/.test(path)) append(process.env.POD_DIST_REFUSED, 'folder for sockets\\n');
    if (typeof path !== 'string' || !refused.test(path)) return real.call(this, path, ...rest);
    append(process.env.POD_DIST_REFUSED, path.replace(/\\d+/g, 'N') + '\\n');
    if (name === 'existsSync') return false;
    if (rest[0]?.throwIfNoEntry === false) return undefined;
    throw Object.assign(new Error('ENOENT: no such file or directory, ' + path), { code: 'ENOENT', path });
  };
}
require('node:module').syncBuiltinESMExports();
if (process.env.POD_DIST_NO_USERS) process.getuid = undefined;
`;

beforeAll(async () => {
  place = new Workplace();
  mkdirSync(place.path('empty'));
  writeFileSync(place.path('preload.cjs'), preload);
  await place.train(1, ['distributed.bitwise=2', ...fewSteps, 'epochs=2'], { out: 'usual' });
  weights = place.report('usual').weightsSha256;
});
afterAll(() => place.clear());

/** Trains with two workers without Linux's files and programs; returns the files that were asked for. */
async function train(out: string, ...more: string[]) {
  const noted = place.path(`${out}.txt`);
  const settings = ['distributed.bitwise=2', 'distributed.bindCores=true', 'epochs=2', ...fewSteps];
  const { code, stderr } = await place.start(
    ['launch', '--workers', '2', '--backend', 'wasm', '--out', out, ...asFlags(settings), ...more],
    {
      NODE_OPTIONS: `--require ${place.path('preload.cjs')}`,
      POD_DIST_REFUSED: noted,
      PATH: place.path('empty'),
      POD_DIST_NO_USERS: out === 'no-users' ? '1' : '',
      POD_DIST_CACHE: place.path('cache'),
    },
  ).ended;
  expect(code, stderr).toBe(0);
  expect(place.report(out).weightsSha256).toBe(weights);
  return { refused: new Set(readFileSync(noted, 'utf8').split('\n')) };
}

describe("a run without Linux's files and programs", () => {
  it('connects workers of a host over Unix sockets, and gives the same bits', async () => {
    const { refused } = await train('bare');
    for (const file of [
      '/proc/N/stat',
      '/proc/self/status',
      '/proc/self/cgroup',
      '/proc/sys/kernel/random/boot_id',
      '/proc/vmstat',
      'folder for sockets',
    ])
      expect(refused).toContain(file);
  });

  it('connects workers of a host over loopback without user ids, and gives the same bits', async () => {
    const { refused } = await train('no-users');
    expect(refused).toContain('/proc/vmstat');
    expect(refused).not.toContain('folder for sockets');
  });
});
