import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { hasEnded } from '../../../src/util/processes.js';
import { needs } from '../../needs.js';

interface Outcome {
  started: boolean;
  told: string[];
  ms: number;
}

const folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
chmodSync(folder, 0o777);
afterAll(() => rmSync(folder, { recursive: true }));

const script = fileURLToPath(
  new URL('../../../dist/test/job/launch/fixtures/start-worker.js', import.meta.url),
);

/** Starts a worker from a process of its own; returns the reports to the job, and after how many milliseconds. */
async function start(options: object, as: readonly string[] = []): Promise<Outcome> {
  const given = JSON.stringify({ logFile: join(folder, 'rank-3.log'), ...options });
  const [command, ...args] = [...as, process.execPath, script, given];
  const { stdout } = await promisify(execFile)(command, args, { timeout: 20_000 });
  return JSON.parse(stdout) as Outcome;
}

const isRoot = process.getuid?.() === 0;
const linux = process.platform === 'linux';

describe('a worker that the system cannot start', needs('Linux', linux), () => {
  it.each([
    [
      'ENOENT',
      { within: ['/no/such/program'] },
      /^ENOENT \(spawn \/no\/such\/program\): there is no such program$/,
    ],
    ['EMFILE, its log', { limit: 'nofile' }, /^EMFILE \(open\): too many files are open: raise .*ulimit -n/],
    ['EMFILE, its pipes', { limit: 'nofile', spare: 1 }, /^EMFILE \(spawn .*node\): too many files are open/],
    ['E2BIG', { variable: 200_000 }, /^E2BIG \(spawn\): the environment and arguments are too long/],
  ])('is reported at once with its reason: %s', async (_name, options, reason) => {
    const { started, told, ms } = await start(options);
    expect(started).toBe(false);
    expect(told).toHaveLength(1);
    const [, cause] = /^START_FAILED: rank 3 could not be started: (.*)$/.exec(told[0]) ?? [];
    expect(cause).toMatch(reason);
    expect(ms).toBeLessThan(10_000);
  });

  it('is reported at once if the user may have no more processes', needs('root', isRoot), async () => {
    const { started, told } = await start({ limit: 'nproc', logFile: join(folder, 'other-user.log') }, [
      'setpriv',
      '--reuid=65534',
      '--clear-groups',
    ]);
    expect(started).toBe(false);
    expect(told).toEqual([
      expect.stringMatching(
        /^START_FAILED: rank 3 could not be started: EAGAIN \(spawn .*node\): no more processes/,
      ),
    ]);
  });

  it('is started without a log where it may be and none can be written', async () => {
    const { started, told } = await start({ logFile: join(folder, 'gone', 'rank-3.log'), unlogged: true });
    expect([started, told]).toEqual([true, ['no log: its folder is gone', 'rank 3 ended: SIGTERM']]);
  });

  it('is otherwise started and followed to its end', async () => {
    const { started, told } = await start({});
    expect([started, told]).toEqual([true, ['rank 3 ended: SIGTERM']]);
  });
});

describe('a worker whose parent process ends', needs('Linux', linux), () => {
  const leave = async (owned: string) => {
    const fixture = fileURLToPath(
      new URL('../../../dist/test/job/launch/fixtures/leave-worker.js', import.meta.url),
    );
    const { stdout } = await promisify(execFile)(process.execPath, [fixture, owned, join(folder, owned)]);
    return Number(stdout);
  };

  it('ends if the parent has not confirmed that it owns the worker', async () => {
    const pid = await leave('unknown');
    await expect.poll(() => hasEnded(pid), { timeout: 20_000 }).toBe(true);
  });

  it('continues if the parent has confirmed that it owns the worker', async () => {
    const pid = await leave('owned');
    await delay(2000);
    expect(hasEnded(pid)).toBe(false);
    process.kill(pid, 'SIGKILL');
  });
});
