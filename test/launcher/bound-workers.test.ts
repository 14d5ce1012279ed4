import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { allowedCores } from '../../src/util/cores.js';
import { needs } from '../needs.js';

const cli = fileURLToPath(new URL('../../dist/launcher/cli.js', import.meta.url));
const own = allowedCores() ?? [];
const bindable = existsSync('/usr/bin/taskset') && own.length > 1;

/** Allowed cores of each of two running workers. */
async function coresOfWorkers(bindCores: boolean): Promise<string[]> {
  const out = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
  const settings = ['--set', `distributed.bindCores=${bindCores}`, '--epochs', '100000'];
  const args = [cli, 'launch', '--workers', '2', '--backend', 'wasm', '--out', join(out, 'run'), ...settings];
  const child = spawn(process.execPath, args, { stdio: 'ignore' });
  const ended = once(child, 'close');
  const workers = () => {
    const pids = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim().split(' ');
    return pids.filter(
      (pid) => pid && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('worker-process.js'),
    );
  };
  try {
    const deadline = performance.now() + 60_000;
    const metrics = join(out, 'run', 'metrics.jsonl');
    while (!existsSync(metrics) || readFileSync(metrics).length === 0) {
      expect(performance.now()).toBeLessThan(deadline);
      await sleep(100);
    }
    return workers().map(
      (pid) => /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '',
    );
  } finally {
    child.kill('SIGTERM');
    await ended;
    rmSync(out, { recursive: true });
  }
}

describe('workers of pod-dist launch', needs('taskset and two cores', bindable), () => {
  it('are bound to different cores, unless distributed.bindCores is false', async () => {
    const bound = await coresOfWorkers(true);
    expect(new Set(bound).size).toBe(2);
    const free = await coresOfWorkers(false);
    expect(free).toHaveLength(2);
    expect(new Set(free).size).toBe(1);
  });
});
