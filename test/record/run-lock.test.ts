import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LeaseWatch } from '../../src/record/lease-watch.js';
import { holderOf, isLock, RunLock, type Holder } from '../../src/record/run-lock.js';

const script = fileURLToPath(new URL('../../dist/test/training/fixtures/take.js', import.meta.url));

describe('RunLock', () => {
  let place: string;
  let folder: string;
  let children: ChildProcess[];
  beforeEach(() => {
    children = [];
    place = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
    folder = join(place, 'run');
    mkdirSync(folder);
  });
  afterEach(async () => {
    await Promise.all(children.map(kill));
    rmSync(place, { recursive: true });
  });

  /** Starts a process that locks the folder; returns it with the lines that it prints. */
  function taker(...args: string[]) {
    const child = spawn(process.execPath, [script, folder, ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    return { child, line: async () => (await lines.next()).value as string };
  }

  async function kill(child: ChildProcess): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  const locks = () => readdirSync(folder).filter(isLock);
  const rewrite = (changes: Partial<Holder>, ageSeconds = 0) => {
    const file = join(folder, locks()[0]);
    const holder = JSON.parse(readFileSync(file, 'utf8')) as Holder;
    writeFileSync(file, JSON.stringify({ ...holder, ...changes }));
    const touched = Date.now() / 1000 - ageSeconds;
    utimesSync(file, touched, touched);
  };

  it('cannot be taken while its process lives, and can be taken after its end or release', async () => {
    const { child, line } = taker();
    expect([await line(), await line()]).toEqual(['ready', 'taken']);
    expect(holderOf(folder)).toMatchObject({ pid: child.pid, host: hostname() });
    await expect(RunLock.take(folder)).rejects.toMatchObject({
      name: 'UserError',
      code: 'RUN_BUSY',
      message: expect.stringMatching(
        new RegExp(`^${folder} is in use by another job: process ${child.pid} on host \\S+, since 20\\d\\d-`),
      ),
    });
    await kill(child);
    const own = await RunLock.take(folder);
    expect(locks()).toHaveLength(1);
    await expect(RunLock.take(folder)).rejects.toMatchObject({ code: 'RUN_BUSY' });
    own.release();
    expect(locks()).toEqual([]);
  });

  it('of a killed job goes to exactly one of several simultaneous jobs', async () => {
    for (let round = 0; round < 2; round++) {
      const dead = taker();
      expect([await dead.line(), await dead.line()]).toEqual(['ready', 'taken']);
      await kill(dead.child);
      expect(locks()).toHaveLength(1);
      const takers = Array.from({ length: 4 }, () => taker(place));
      for (const { line } of takers) expect(await line()).toBe('ready');
      writeFileSync(join(place, 'go'), '');
      const said = (await Promise.all(takers.map(({ line }) => line()))).map((text) => text.split(':')[0]);
      expect(said.sort()).toEqual(['RUN_BUSY', 'RUN_BUSY', 'RUN_BUSY', 'taken']);
      await Promise.all(takers.map(({ child }) => kill(child)));
      rmSync(join(place, 'go'));
    }
  });

  it('of another machine is valid while it is touched; of an earlier process with the same pid it is not', async () => {
    const own = await RunLock.take(folder);
    rewrite({ machine: 'another', host: 'elsewhere', pid: 1 });
    await expect(RunLock.take(folder)).rejects.toThrow(/process 1 on host elsewhere/);
    rewrite({}, 300);
    (await RunLock.take(folder)).release();
    own.release();
    await RunLock.take(folder);
    rewrite({ started: '1' });
    (await RunLock.take(folder)).release();
  });

  it('of another machine goes to a successor once it has not been touched for three seconds', async () => {
    const own = await RunLock.take(folder);
    rewrite({ machine: 'another', host: 'elsewhere', pid: 1 });
    let lost: Error | undefined;
    const keeping = own.keep((error) => (lost = error));
    const watch = new LeaseWatch(folder);
    watch.look();
    await expect(RunLock.take(folder, { succeeds: true })).rejects.toThrow(/process 1 on host elsewhere/);
    watch.look();
    expect(watch.isTouchedBy({ machine: 'another', pid: 1 })).toBe(true);
    expect(keeping.isHeld()).toBe(true);

    keeping.stop();
    const began = performance.now();
    const next = await RunLock.take(folder, { succeeds: true });
    expect(performance.now() - began).toBeGreaterThan(1500);
    expect(locks()).toHaveLength(1);
    expect(keeping.isHeld()).toBe(false);
    expect(lost).toMatchObject({ code: 'RUN_FOLDER_LOST' });
    next.release();
  });

  it('with incomplete content is valid until it is old', async () => {
    const file = join(folder, 'lock-0123456789abcdef.json');
    writeFileSync(file, '{"ho');
    await expect(RunLock.take(folder)).rejects.toMatchObject({ code: 'RUN_BUSY' });
    utimesSync(file, 1, 1);
    (await RunLock.take(folder)).release();
    expect(locks()).toEqual([]);
  });

  it('passes over the lock of a job that is gone where it cannot be removed', () => {
    const file = join(folder, 'lock-0123456789abcdef.json');
    mkdirSync(file);
    utimesSync(file, 0, 0);
    expect(holderOf(folder)).toBeUndefined();
    expect(locks()).toHaveLength(1);
  });
});
