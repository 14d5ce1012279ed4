import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bindingCommands, divideCores } from '../../../src/backend/devices/core-binding.js';
import { allowedCores } from '../../../src/util/cores.js';
import { needs } from '../../needs.js';

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'))));
afterEach(() => rmSync(folder, { recursive: true }));

/** Topology files of a machine whose logical core n is at places[n]: [socket, core]. */
function machine(places: readonly (readonly [number, number])[]): string {
  for (const [core, [socket, number]] of places.entries()) {
    const files = join(folder, `cpu${core}`, 'topology');
    mkdirSync(files, { recursive: true });
    writeFileSync(join(files, 'physical_package_id'), `${socket}\n`);
    writeFileSync(join(files, 'core_id'), `${number}\n`);
  }
  return folder;
}

describe('divideCores', () => {
  it('gives each core to one worker, in shares that differ by at most one', () => {
    const seven = [0, 1, 2, 3, 4, 5, 6];
    expect(divideCores(seven, 3, folder)).toEqual([
      [0, 1],
      [2, 3],
      [4, 5, 6],
    ]);
    expect(divideCores(seven, 7, folder)).toEqual(seven.map((core) => [core]));
  });

  it('shares each core among equally many workers if there are more workers than cores', () => {
    expect(divideCores([3, 5], 6, folder)).toEqual([[3], [3], [3], [5], [5], [5]]);
  });

  it('keeps the hardware threads of a core and the cores of a socket together', () => {
    const interleaved = machine([0, 1, 2, 3, 4, 5, 6, 7].map((core) => [core % 2, (core >> 1) % 2]));
    expect(divideCores([0, 1, 2, 3, 4, 5, 6, 7], 2, interleaved)).toEqual([
      [0, 4, 2, 6],
      [1, 5, 3, 7],
    ]);
    expect(divideCores([0, 1, 2, 3, 4, 5, 6, 7], 4, interleaved)[0]).toEqual([0, 4]);
  });
});

describe('bindingCommands', () => {
  const cores = allowedCores() ?? [];
  const bindable = existsSync('/usr/bin/taskset') && cores.length > 1;

  it('starts each worker on its own cores', needs('taskset and two cores', bindable), () => {
    const seen = (bindingCommands(2) ?? []).map(([program, ...args]) => {
      const status = execFileSync(program, [...args, 'cat', '/proc/self/status'], { encoding: 'utf8' });
      mkdirSync(join(folder, 'self'), { recursive: true });
      writeFileSync(join(folder, 'self', 'status'), status);
      return allowedCores({ proc: folder }) ?? [];
    });
    expect(seen.map(({ length }) => length).sort()).toEqual(
      [Math.floor(cores.length / 2), Math.ceil(cores.length / 2)].sort(),
    );
    expect(seen.flat().sort()).toEqual([...cores].sort());
  });

  it('binds no worker without taskset, for one worker, or if workers would have unequal shares of a core', () => {
    expect(bindingCommands(1)).toBeUndefined();
    if (cores.length > 1) expect(bindingCommands(cores.length + 1)).toBeUndefined();
    if (bindable) expect(bindingCommands(2 * cores.length)).toHaveLength(2 * cores.length);
    const { PATH } = process.env;
    process.env.PATH = folder;
    try {
      expect(bindingCommands(2)).toBeUndefined();
    } finally {
      process.env.PATH = PATH;
    }
  });
});
