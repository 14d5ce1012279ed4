import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { allowedCores, availableCores, coresOf, cpuQuota } from '../../src/util/cores.js';
import { needs } from '../needs.js';

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'))));
afterEach(() => rmSync(folder, { recursive: true }));

/** Writes files of /proc for process 7 and of control groups, as on Linux. */
function write(files: Record<string, string>) {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), `${text}\n`);
  }
  return { proc: join(folder, 'proc'), cgroup: join(folder, 'cgroup') };
}

const allowed = (list: string) => ({
  'proc/7/status': `Name:\tx\nCpus_allowed:\tff\nCpus_allowed_list:\t${list}\nThreads:\t1`,
});

describe('cpuQuota', () => {
  it('is the smallest quota of a group and its parents, version 2', () => {
    const files = {
      'proc/7/cgroup': '0::/job/worker',
      'cgroup/cpu.max': 'max 100000',
      'cgroup/job/cpu.max': '250000 100000',
      'cgroup/job/worker/cpu.max': 'max 100000',
    };
    expect(cpuQuota(7, write(files))).toBe(2.5);
    expect(cpuQuota(7, write({ 'cgroup/job/worker/cpu.max': '50000 100000' }))).toBe(0.5);
  });

  it("is read from the root if the group's path is outside the container", () => {
    const files = { 'proc/7/cgroup': '0::/../../docker/abc', 'cgroup/cpu.max': '300000 100000' };
    expect(cpuQuota(7, write(files))).toBe(3);
  });

  it('is read from version 1, in which -1 means no limit', () => {
    const files = {
      'proc/7/cgroup': '4:memory:/m\n3:cpu,cpuacct:/job\n0::/',
      'cgroup/cpu,cpuacct/cpu.cfs_quota_us': '-1',
      'cgroup/cpu,cpuacct/cpu.cfs_period_us': '100000',
    };
    expect(cpuQuota(7, write(files))).toBe(Infinity);
    const job = 'cgroup/cpu,cpuacct/job/';
    expect(
      cpuQuota(7, write({ [`${job}cpu.cfs_quota_us`]: '200000', [`${job}cpu.cfs_period_us`]: '50000' })),
    ).toBe(4);
  });

  it('is Infinity without such files', () => {
    expect(cpuQuota(7, write({}))).toBe(Infinity);
  });
});

describe('coresOf', () => {
  it('counts the allowed cores up to the quota, and is undefined without the process', () => {
    expect(coresOf(7, write(allowed('0-3,8,10-11')))).toBe(7);
    const quota = { 'proc/7/cgroup': '0::/', 'cgroup/cpu.max': '250000 100000' };
    expect(coresOf(7, write(quota))).toBe(2);
    expect(coresOf(7, write({ 'cgroup/cpu.max': '1000 100000' }))).toBe(1);
    expect(coresOf(7, write({ 'cgroup/cpu.max': '250000' }))).toBe(
      coresOf(7, write({ 'cgroup/cpu.max': 'max' })),
    );
    expect(coresOf(8, write({}))).toBeUndefined();
  });
});

describe('allowedCores', () => {
  it('lists the allowed cores, and is undefined without the file', () => {
    const files = write({ 'proc/self/status': 'Cpus_allowed_list:\t0-2,8,10-11' });
    expect(allowedCores(files)).toEqual([0, 1, 2, 8, 10, 11]);
    expect(allowedCores({ proc: join(folder, 'nothing') })).toBeUndefined();
  });
});

describe('availableCores', () => {
  it('is at most availableParallelism()', () => {
    expect(availableCores()).toBeGreaterThanOrEqual(1);
    expect(availableCores()).toBeLessThanOrEqual(availableParallelism());
  });

  it('is 1 for a process bound to one core', needs('taskset', existsSync('/usr/bin/taskset')), () => {
    const script = `import(${JSON.stringify(new URL('../../dist/src/util/cores.js', import.meta.url).href)})
      .then(({ availableCores, coresOf }) => console.log(availableCores(), coresOf(process.pid)))`;
    const out = execFileSync('taskset', ['-c', '0', process.execPath, '-e', script], { encoding: 'utf8' });
    expect(out).toBe('1 1\n');
  });
});
