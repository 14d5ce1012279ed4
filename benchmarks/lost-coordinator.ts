import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { spawn, type ChildProcess } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { median } from '../src/bench/statistics.js';
import { readJobState, type JobState } from '../src/record/job-state.js';
import { Hosts } from '../test/integration/hosts.js';

/**
 * What the loss of the coordinator costs: its process killed or stopped, and its host lost (its link down and all of its
 * processes killed, so that nobody hears of it). Two workers on the digits' small network, wasm; for the lost host rank 0 is
 * on the coordinator's host and rank 1 on another one, both namespaces of this machine (Linux, root). Of each round: seconds
 * from the loss until a step is recorded that was not recorded before.
 *
 *     node dist/benchmarks/lost-coordinator.js [--rounds 5] [--only host|killed|stopped]
 */
const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '5' }, only: { type: 'string', default: '' } },
});
const cli = fileURLToPath(new URL('../launcher/cli.js', import.meta.url));
const about = ['--backend', 'wasm', '--bitwise', '2', '--epochs', '2000', '--elastic'];
const lookEveryMs = 5;
const patienceMs = 120_000;

/** A run under way, in a folder of its own. */
class Run {
  readonly folder = mkdtempSync(join(tmpdir(), 'pod-dist-lost-'));
  private readonly children: ChildProcess[] = [];

  start(args: readonly string[], within: readonly string[] = []): ChildProcess {
    const [program, ...rest] = [...within, process.execPath, cli, ...args];
    const child = spawn(program as string, rest, { cwd: this.folder, stdio: 'ignore' });
    this.children.push(child);
    return child;
  }

  get state(): JobState {
    return readJobState(join(this.folder, 'run')) as JobState;
  }

  /** Number of the last recorded step; -1 where there is none. */
  get last(): number {
    const file = join(this.folder, 'run', 'metrics.jsonl');
    const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
    const steps = [...text.matchAll(/^\{"kind":"step".*?"step":(\d+)/gm)];
    return Number(steps.at(-1)?.[1] ?? -1);
  }

  /** Seconds from `lose` until a step that is new. */
  async secondsAfter(lose: () => void): Promise<number> {
    const began = performance.now();
    lose();
    // Steps that were under way are recorded within this time.
    await delay(50);
    const before = this.last;
    await until('a new step', () => this.last > before);
    return (performance.now() - began) / 1000;
  }

  async clear(): Promise<void> {
    for (const child of this.children) child.kill('SIGKILL');
    await delay(500);
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function until(what: string, condition: () => boolean): Promise<void> {
  const end = performance.now() + patienceMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`waited ${patienceMs / 1000} s for ${what}`);
    await delay(lookEveryMs);
  }
}

async function coordinator(signal: 'SIGKILL' | 'SIGSTOP'): Promise<number> {
  const run = new Run();
  try {
    run.start(['launch', ...about, '--workers', '2', '--out', 'run']);
    await until('100 steps', () => run.last > 100);
    const { pid } = run.state.agent;
    const seconds = await run.secondsAfter(() => process.kill(pid, signal));
    const stop = run.start(['stop', 'run', '--now']);
    await until('the end', () => stop.exitCode !== null);
    return seconds;
  } finally {
    await run.clear();
  }
}

async function host(): Promise<number> {
  const run = new Run();
  const hosts = await Hosts.make(2);
  const on = (where: number, ...args: string[]) => run.start(args, hosts.within(where, run.folder));
  try {
    on(0, 'launch', ...about, '--workers', '1', '--out', 'run', '--set', 'distributed.host=0.0.0.0');
    await until('a step', () => run.last > 0);
    on(1, 'join', 'run');
    await until('a spare', () => run.state.spares.length === 1);
    on(0, 'resize', 'run', '--workers', '2');
    await until('two ranks', () => run.state.ranks.length === 2);
    const { last } = run;
    await until('further steps', () => run.last > last + 50);
    return await run.secondsAfter(() => hosts.lose(0));
  } finally {
    hosts.remove();
    await run.clear();
  }
}

const cases = {
  killed: () => coordinator('SIGKILL'),
  stopped: () => coordinator('SIGSTOP'),
  host,
};
for (const [name, measure] of Object.entries(cases)) {
  if (!name.startsWith(values.only)) continue;
  const each: number[] = [];
  for (let round = 0; round < Number(values.rounds); round++) each.push(await measure());
  const shown = each.map((seconds) => seconds.toFixed(2)).join(', ');
  console.log(`${name}: median ${median(each).toFixed(2)} s of ${shown}`);
}
