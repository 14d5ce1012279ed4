/**
 * Trains over three hosts, namespaces of this machine, on a network with faults, and compares with a run on one host that
 * nothing disturbed (Linux, root): `node dist/test/soak/network.js --faults 60 --seed 7`. The same seed orders the same
 * faults: packets are lost in one direction, in both, now and then, or of a whole host; a link is so narrow that it drops
 * some; a rank or the coordinator is killed. A worker that has ended is started again.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { readJobState, type JobState } from '../../src/record/job-state.js';
import { randomStream } from '../../src/util/random.js';
import { Hosts } from '../integration/hosts.js';
import { cli, injector, processesOf, recordOf, weightsOf } from './run.js';

const settings = ['--backend', 'wasm', '--bitwise', '4', '--epochs', '60'];
const everywhere = ['--elastic', ...set('distributed.host=0.0.0.0', 'elastic.faultsPerWorkerHour=100000')];
const count = 3;
const paceMs = 20;
/** Longest duration of a network fault, in milliseconds: some end before a rank is given up, some later. */
const longestMs = 8000;
const patienceMs = 180_000;

function set(...each: readonly string[]): string[] {
  return each.flatMap((setting) => ['--set', setting]);
}

type Random = () => number;

/** A run over three hosts: two workers on the first, one on each of the others. */
class NetworkRun {
  readonly made: string[] = [];
  private readonly guests = new Map<number, ChildProcess>();
  private launcher: ChildProcess | undefined;
  private over = false;

  private constructor(
    private readonly folder: string,
    private readonly hosts: Hosts,
  ) {}

  static async start(folder: string): Promise<NetworkRun> {
    const run = new NetworkRun(folder, await Hosts.make(count));
    run.launcher = run.on(0, 'launch', ...settings, '--workers', '2', '--out', folder, ...everywhere);
    await run.until('a step', () => run.bytes > 0);
    run.keepGuests();
    await run.until('two spares', () => run.state.spares.length === 2);
    run.on(0, 'resize', folder, '--workers', '4');
    await run.until('four ranks', () => run.state.ranks.length === 4);
    return run;
  }

  /** Makes `count` faults, one after another; resolves early with their number if the run ends. */
  async disturb(faults: number, random: Random): Promise<number> {
    let made = 0;
    for (; made < faults && !this.isDone; made++) {
      await this.fault(random);
      const before = this.bytes;
      await this.until('further steps', () => this.isDone || this.bytes > before + 1000);
    }
    return made;
  }

  /** A line for everything that differs from the undisturbed run, or was left behind. */
  async problems(wanted: { weights: string; record: string }): Promise<string[]> {
    await this.until('the report', () => this.isDone);
    this.over = true;
    const gone = await within(patienceMs, () => processesOf(this.folder).length === 0);
    return [
      ...(weightsOf(this.folder) === wanted.weights ? [] : ['has other weights']),
      ...(recordOf(this.folder) === wanted.record ? [] : ['has another record']),
      ...(gone ? [] : [`leaves processes: ${processesOf(this.folder).join(' | ')}`]),
      ...this.hosts.leftovers().map((name) => `leaves ${name}`),
    ];
  }

  close(): void {
    this.over = true;
    this.hosts.remove();
  }

  private async fault(random: Random): Promise<void> {
    const host = Math.floor(random() * count);
    const other = (host + 1 + Math.floor(random() * (count - 1))) % count;
    const lastsMs = 100 + longestMs * random() ** 2;
    const { hosts } = this;
    const faults: Record<string, () => Promise<void>> = {
      oneWay: () =>
        this.during(
          lastsMs,
          () => hosts.cut(host, other),
          () => hosts.heal(host, other),
        ),
      bothWays: () =>
        this.during(
          lastsMs,
          () => [hosts.cut(host, other), hosts.cut(other, host)],
          () => [hosts.heal(host, other), hosts.heal(other, host)],
        ),
      unplugged: () =>
        this.during(
          lastsMs,
          () => hosts.unplug(host),
          () => hosts.plug(host),
        ),
      loss: async () => {
        for (let round = 0; round < 10; round++) {
          await this.during(
            20 + 80 * random(),
            () => hosts.cut(host, other),
            () => hosts.heal(host, other),
          );
          await delay(200 * random());
        }
      },
      congested: () =>
        this.during(
          lastsMs,
          () => hosts.congest(host),
          () => hosts.relieve(host),
        ),
      kill: async () => this.kill(random),
      unpluggedKill: async () => {
        hosts.unplug(host);
        await delay(lastsMs / 2);
        this.kill(random);
        await delay(lastsMs / 2);
        hosts.plug(host);
      },
    };
    const names = Object.keys(faults);
    const name = names[Math.floor(random() * names.length)];
    this.made.push(`${name} ${host}-${other} ${(lastsMs / 1000).toFixed(1)} s`);
    await faults[name]();
  }

  private async during(lastsMs: number, begin: () => unknown, end: () => unknown): Promise<void> {
    begin();
    await delay(lastsMs);
    end();
  }

  /** Kills a rank, or the process of the coordinator. */
  private kill(random: Random): void {
    const { ranks, agent } = this.state;
    const all = [...ranks, agent];
    const { host, pid } = all[Math.floor(random() * all.length)];
    const index = Array.from({ length: count }, (_, one) => one).find((one) => this.hosts.name(one) === host);
    try {
      this.hosts.kill(index as number, pid, 'KILL');
    } catch {
      // Another fault was faster.
    }
  }

  /** Starts a worker again on a host that has none, as a cluster would. */
  private keepGuests(): void {
    if (this.over || this.isDone) return;
    for (let host = 0; host < count; host++) {
      const before = host === 0 ? (this.guests.get(0) ?? this.launcher) : this.guests.get(host);
      if (before && before.exitCode === null && before.signalCode === null) continue;
      this.guests.set(host, this.on(host, 'join', this.folder));
    }
    setTimeout(() => this.keepGuests(), 1000).unref();
  }

  private on(host: number, ...args: string[]): ChildProcess {
    const [program, ...rest] = this.hosts.within(host, tmpdir());
    return spawn(program, [...rest, process.execPath, cli, ...args], {
      env: { ...process.env, POD_DIST_PACE: String(paceMs), NODE_OPTIONS: `--require ${injector}` },
      stdio: 'ignore',
    });
  }

  private get state(): JobState {
    return readJobState(this.folder) as JobState;
  }

  /** Bytes of the record, which grows with each step. */
  private get bytes(): number {
    const file = join(this.folder, 'metrics.jsonl');
    return existsSync(file) ? statSync(file).size : 0;
  }

  private get isDone(): boolean {
    return existsSync(join(this.folder, 'report.json')) || this.state?.ended !== undefined;
  }

  private async until(what: string, condition: () => boolean): Promise<void> {
    if (await within(patienceMs, condition)) return;
    const after = `after ${this.made.join(', ')}; see ${this.folder}`;
    throw new Error(`waited ${patienceMs / 1000} s for ${what}, ${after}`);
  }
}

/** Waits until something holds; resolves with whether it does. */
async function within(milliseconds: number, condition: () => boolean): Promise<boolean> {
  const end = performance.now() + milliseconds;
  while (performance.now() < end) {
    if (condition()) return true;
    await delay(50);
  }
  return false;
}

/** Trains on this host without faults. */
async function undisturbed(folder: string): Promise<{ weights: string; record: string }> {
  const child = spawn(process.execPath, [cli, 'launch', ...settings, '--workers', '2', '--out', folder], {
    stdio: 'ignore',
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`the undisturbed run has ended with ${code}`);
  return { weights: weightsOf(folder), record: recordOf(folder) };
}

const text = { type: 'string' } as const;
const { values } = parseArgs({ options: { faults: text, seed: text, 'per-run': text } });
const { faults = '60', seed = '1', 'per-run': perRun = '12' } = values;
const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'soak-'));
const wanted = await undisturbed(join(folder, 'undisturbed'));
let total = 0;
let failed = 0;
for (let index = 0; total < Number(faults); index++) {
  const name = join(folder, String(index));
  const random = randomStream(Number(seed), index);
  const run = await NetworkRun.start(name);
  try {
    total += await run.disturb(Math.min(Number(perRun), Number(faults) - total), () => random.uniform());
    const problems = await run.problems(wanted);
    if (problems.length > 0) failed++;
    else rmSync(name, { recursive: true });
    const outcome = problems.join('; ') || 'equal';
    console.log(`run ${index}: ${run.made.join(', ')}; ${outcome}; ${total} faults so far`);
  } finally {
    run.close();
  }
}
console.log(`${total} faults, ${failed} runs that are not as they should be`);
if (failed === 0) rmSync(folder, { recursive: true });
process.exitCode = failed > 0 ? 1 : 0;
