import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { median } from '../../src/bench/statistics.js';
import { readJobState, type JobState } from '../../src/record/job-state.js';
import { Hosts } from '../integration/hosts.js';

/**
 * How long an elastic run on the digits' small network (wasm) takes to go on after a loss:
 *
 *     worker    rank 1 of four is killed, each time that a spare is ready
 *     killed    the coordinator's process is killed, two workers
 *     stopped   it gets SIGSTOP
 *     host      the coordinator's host is lost with rank 0: its link goes down and all of its processes are killed, so that
 *               nobody hears of it; rank 1 is on another host. Both are namespaces of this machine (Linux, root)
 *
 * Of each loss: seconds until a step is recorded that was not recorded before.
 *
 *     node dist/test/soak/recoveries.js [--rounds 5] [--only worker|killed|stopped|host]
 */
const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '5' }, only: { type: 'string', default: '' } },
});
const cli = fileURLToPath(new URL('../../launcher/cli.js', import.meta.url));
const about = ['--backend', 'wasm', '--bitwise', '4', '--epochs', '2000', '--elastic'];
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

/** Loses rank 1 of one run, again and again. */
async function worker(rounds: number): Promise<number[]> {
  const run = new Run();
  try {
    const spare = ['--workers', '4', '--spares', '1', '--set', 'elastic.faultsPerWorkerHour=100000'];
    run.start(['launch', ...about, ...spare, '--out', 'run']);
    await until('100 steps', () => run.last > 100);
    const each: number[] = [];
    for (let round = 0; round < rounds; round++) {
      await until('a spare', () => run.state.spares.length === 1);
      const { pid } = run.state.ranks.find(({ rank }) => rank === 1) as { pid: number };
      each.push(await run.secondsAfter(() => process.kill(pid, 'SIGKILL')));
    }
    const stop = run.start(['stop', 'run', '--now']);
    await until('the end', () => stop.exitCode !== null);
    return each;
  } finally {
    await run.clear();
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

async function inTurn(rounds: number, measure: () => Promise<number>): Promise<number[]> {
  const each: number[] = [];
  for (let round = 0; round < rounds; round++) each.push(await measure());
  return each;
}

const cases: Record<string, (rounds: number) => Promise<number[]>> = {
  worker,
  killed: (rounds) => inTurn(rounds, () => coordinator('SIGKILL')),
  stopped: (rounds) => inTurn(rounds, () => coordinator('SIGSTOP')),
  host: (rounds) => inTurn(rounds, host),
};
for (const [name, measure] of Object.entries(cases)) {
  if (!name.startsWith(values.only)) continue;
  const sorted = (await measure(Number(values.rounds))).toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.ceil(share * sorted.length) - 1]?.toFixed(2);
  const range = `${sorted[0]?.toFixed(2)} to ${sorted.at(-1)?.toFixed(2)}`;
  console.log(`${name}: median ${median(sorted).toFixed(2)} s, 99 % within ${at(0.99)} s, ${range}`);
}
