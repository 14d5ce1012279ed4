import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { findAddon } from '../../src/backend/native/cache.js';
import { evaluationSchema, type Evaluation } from '../../src/evaluation/schema.js';
import type { EpochRecord, StepRecord } from '../../src/record/records.js';
import type { Report } from '../../src/record/records.js';
import { WarmCommand } from './warm-command.js';
import { WarmWorkers, type TrainedRun } from './warm-workers.js';

export const cli = fileURLToPath(new URL('../../dist/launcher/cli.js', import.meta.url));

/** Environment in which workers of `launch` load the faults of `test/soak/inject.ts`. */
const injected = (variables: NodeJS.ProcessEnv) => ({
  ...variables,
  NODE_OPTIONS: `--require ${fileURLToPath(new URL('../../dist/test/soak/redirect.cjs', import.meta.url))}`,
});

/** Environment in which workers carry out the orders that lie in a folder. */
export const faulty = (orders: string) => injected({ POD_DIST_ORDERS: orders });

/** Environment in which ranks sleep before each step, so that a long run leaves the processor to others. */
export const paced = (milliseconds: number) => injected({ POD_DIST_PACE: String(milliseconds) });

/** Setting for tests that are not about the training: steps of a small network are cheap. */
export const smallModel =
  'model={name: small-cnn, dim: 16, channels: [4, 8], strides: [1, 2], batchNorm: true}';

/** Settings for runs that faults interrupt: four cheap steps an epoch. */
export const fewSteps = [smallModel, 'batchSize=360'];

/** Settings as flags. */
export const asFlags = (settings: readonly string[]) => settings.flatMap((setting) => ['--set', setting]);

/** Backends that can train here: wasm always, native where set-up has built it. */
export const backends = findAddon() ? (['wasm', 'native'] as const) : (['wasm'] as const);

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
  /** Last line of standard error. */
  lastLine: string;
}

/** A folder of one test: where it runs commands, and where they put sockets and temporary files. */
export class Workplace {
  readonly folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
  readonly temporary = mkdtempSync(join(tmpdir(), 'pod-'));
  private readonly commands: Command[] = [];
  private readonly variables = {
    TMPDIR: this.temporary,
    XDG_CONFIG_HOME: join(this.folder, '.config'),
  };
  private readonly warm = new WarmWorkers(this.folder, this.variables);
  private readonly warmCommand = new WarmCommand(this.folder, this.variables);

  /** Starts the real command, by way of another one (`within`) where there is one. */
  start(
    args: readonly string[],
    environment: NodeJS.ProcessEnv = {},
    within: readonly string[] = [],
  ): Command {
    const [program, ...rest] = [...within, process.execPath, cli, ...args];
    const child = spawn(program, rest, {
      cwd: this.folder,
      env: { ...process.env, ...this.variables, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const command = new Command(child);
    this.commands.push(command);
    return command;
  }

  /** Runs the real command to its end. */
  run(...args: string[]): Promise<Ended> {
    return this.start(args).ended;
  }

  /** Runs the command line in a process that is reused: no process is started. */
  async ask(...args: string[]): Promise<Omit<Ended, 'signal'>> {
    const answer = await this.warmCommand.run(...args);
    return { ...answer, lastLine: answer.stderr.trim().split('\n').pop() ?? '' };
  }

  /**
   * Trains, on wasm unless the settings name another backend, in processes that are reused. Native TensorFlow keeps
   * the number of threads of a process's first training.
   */
  train(workers: number, settings: readonly string[], run: TrainedRun): Promise<void> {
    return this.warm.train(workers, ['backend=wasm', ...settings], run);
  }

  path(...parts: string[]): string {
    return join(this.folder, ...parts);
  }

  report(run: string): Report {
    return JSON.parse(readFileSync(this.path(run, 'report.json'), 'utf8')) as Report;
  }

  evaluation(run: string): Evaluation {
    return evaluationSchema.parse(JSON.parse(readFileSync(this.path(run, 'evaluation.json'), 'utf8')));
  }

  metrics(run: string): { steps: StepRecord[]; epochs: EpochRecord[] } {
    const lines = readFileSync(this.path(run, 'metrics.jsonl'), 'utf8').split('\n').slice(0, -1);
    const records = lines.map((line) => JSON.parse(line) as StepRecord | EpochRecord);
    return {
      steps: records.filter((record) => record.kind === 'step'),
      epochs: records.filter((record) => record.kind === 'epoch'),
    };
  }

  /** Epochs that a run under way has recorded. */
  epochs(run: string): number {
    return this.recorded(run, 'epoch');
  }

  /** Steps that a run under way has recorded. */
  made(run: string): number {
    return this.recorded(run, 'step');
  }

  /** Checkpoints that a run, perhaps under way, has written. */
  checkpoints(run: string): string[] {
    const folder = this.path(run, 'checkpoints');
    return existsSync(folder) ? readdirSync(folder).filter((name) => /^(epoch|step)-\d+$/.test(name)) : [];
  }

  /** Contents of the files of these names, which others have written here. */
  texts(name: RegExp): string[] {
    const names = readdirSync(this.folder).filter((file) => name.test(file));
    return names.map((file) => readFileSync(this.path(file), 'utf8'));
  }

  /** Names of files and folders that commands have left in the temporary folder. */
  leftovers(): string[] {
    return readdirSync(this.temporary).filter((name) => !name.startsWith('node-compile-cache'));
  }

  /** Counts lines of a kind without parsing them, since tests poll this. */
  private recorded(run: string, kind: string): number {
    const file = this.path(run, 'metrics.jsonl');
    return existsSync(file) ? readFileSync(file, 'latin1').split(`{"kind":"${kind}",`).length - 1 : 0;
  }

  /** Kills what still runs and removes everything. */
  async clear(): Promise<void> {
    await Promise.all([this.warm.close(), this.warmCommand.close()]);
    for (const command of this.commands) await command.clear();
    rmSync(this.folder, { recursive: true, force: true });
    rmSync(this.temporary, { recursive: true, force: true });
  }
}

/** A command under way. */
export class Command {
  readonly ended: Promise<Ended>;
  private stdout = '';
  private stderr = '';
  private readonly seen = new Set<number>();

  constructor(readonly child: ChildProcess) {
    child.stdout?.on('data', (data: Buffer) => (this.stdout += data.toString()));
    child.stderr?.on('data', (data: Buffer) => (this.stderr += data.toString()));
    started.add(this);
    this.ended = new Promise((resolve) => {
      child.on('close', (code, signal) => {
        const lastLine = this.stderr.trim().split('\n').pop() ?? '';
        resolve({ code, signal, stdout: this.stdout, stderr: this.stderr, lastLine });
      });
    });
  }

  /** Process ids of the workers that are there now, by rank. */
  workers(): Map<number, number> {
    const found = new Map<number, number>();
    for (const pid of descendantsOf(this.child.pid as number)) {
      const rank = rankOf(pid);
      if (rank !== undefined) found.set(rank, pid);
      this.seen.add(pid);
    }
    return found;
  }

  /** Process id, command line and last output. */
  describe(): string {
    const last = (text: string) => text.trim().split('\n').slice(-20).join('\n');
    const how = `process ${this.child.pid}: ${this.child.spawnargs.slice(1).join(' ')}`;
    return [how, last(this.stdout), last(this.stderr)].filter(Boolean).join('\n');
  }

  /** Waits for a worker of this rank. */
  async worker(rank: number): Promise<number> {
    return until(`a worker of rank ${rank}`, () => this.workers().get(rank));
  }

  /** Waits for text on standard output or standard error. */
  async says(text: string | RegExp): Promise<void> {
    await until(`"${text}"`, () => `${this.stdout}\n${this.stderr}`.match(text) ?? undefined);
  }

  /** Worker processes that were seen and are still running. */
  alive(): number[] {
    this.workers();
    return [...this.seen].filter(isAlive);
  }

  async clear(): Promise<void> {
    started.delete(this);
    for (const pid of [...this.alive(), this.child.pid as number]) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        continue;
      }
    }
    await this.ended;
  }
}

/**
 * Milliseconds in which what is to be over soon is over even on a busy machine; without a reaction to a fault it would last
 * a minute at least, which is the shortest of the time-outs.
 */
export const soonMs = 30_000;

/** Milliseconds between two polls. */
const pollMs = 40;

/** Commands under way; `until` prints their output when it times out. */
const started = new Set<Command>();

/**
 * Polls until `probe` gives something; fails after a minute, or after `withinMs`, and then shows what the commands of the
 * test have printed last.
 */
export async function until<T>(what: string, probe: () => T | undefined, withinMs = 60_000): Promise<T> {
  const end = performance.now() + withinMs;
  while (performance.now() < end) {
    const value = probe();
    if (value !== undefined) return value;
    await delay(pollMs);
  }
  const printed = [...started].map((command) => `\n${command.describe()}`);
  throw new Error(`waited ${withinMs / 1000} s for ${what}${printed.join('')}`);
}

/** Child processes and their children: an elastic job has a process of its own for the workers. */
function descendantsOf(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [child, ...descendantsOf(child)]);
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
      .trim()
      .split(' ')
      .filter(Boolean)
      .map(Number);
  } catch {
    return [];
  }
}

function rankOf(pid: number): number | undefined {
  try {
    const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
    const rank = environment.find((line) => line.startsWith('RANK='));
    return rank === undefined ? undefined : Number(rank.slice(5));
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    const [, state] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ');
    return !state.startsWith('Z');
  } catch {
    return false;
  }
}
