/** A run in a process of its own, and its outcome. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { readJobState } from '../../src/record/job-state.js';
import type { Report } from '../../src/record/records.js';

export const cli = fileURLToPath(new URL('../../launcher/cli.js', import.meta.url));
/** Module that processes preload to carry out orders. */
export const injector = fileURLToPath(new URL('./redirect.cjs', import.meta.url));

/** Milliseconds that a run without its launcher may take to its end. */
const mostAloneMs = 300_000;

export interface Outcome {
  code: number | null;
  lastLine: string;
  /** Digests of the weights, and of their average where there is one. */
  weights: string;
  /** Digest of the record without its times. */
  metrics: string;
  seconds: number[];
  /** Recoveries that went on from a snapshot, not from a checkpoint. */
  fromSnapshot: number;
}

/** A line of `job/incidents.jsonl`. */
interface Incident {
  seconds: number;
  /** Steps that were made again; absent where the ranks began from a checkpoint. */
  replayed?: number;
}

/** One run in a process of its own. */
export class Run {
  protected readonly orders: string;
  private readonly process: ChildProcess;
  private readonly ended: Promise<number | null>;
  private output = '';
  private alone = false;

  constructor(
    protected readonly folder: string,
    settings: readonly string[],
    /** Whether the run has a disk of its own, which is small. */
    private readonly small = false,
  ) {
    if (small) {
      mkdirSync(folder);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', folder]);
    }
    this.orders = `${folder}.orders`;
    mkdirSync(this.orders, { recursive: true });
    this.process = spawn(process.execPath, [cli, 'launch', ...settings, '--out', folder, '--json'], {
      env: {
        ...process.env,
        TMPDIR: dirname(folder),
        POD_DIST_ORDERS: this.orders,
        NODE_OPTIONS: `--require ${injector}`,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const from of [this.process.stdout, this.process.stderr])
      from?.on('data', (text: Buffer) => (this.output += text.toString()));
    this.ended = new Promise((resolve) => this.process.once('close', resolve));
  }

  /** Kills the launcher; the run goes on without it. */
  killLauncher(): void {
    this.alone = true;
    this.process.kill('SIGKILL');
  }

  async outcome(): Promise<Outcome> {
    let code = await this.ended;
    if (this.alone) {
      const end = performance.now() + mostAloneMs;
      const goesOn = () => this.running || processesOf(this.folder).length > 0;
      while (goesOn() && performance.now() < end) await delay(200);
      code = existsSync(join(this.folder, 'report.json')) ? 0 : code;
    }
    rmSync(this.orders, { recursive: true, force: true });
    return {
      code,
      lastLine: this.output.trimEnd().split('\n').at(-1) ?? '',
      weights: weightsOf(this.folder),
      metrics: recordOf(this.folder),
      seconds: this.incidents().map(({ seconds }) => seconds),
      fromSnapshot: this.incidents().filter(({ replayed }) => replayed !== undefined).length,
    };
  }

  /** Unmounts the disk of its own, once the run has ended. */
  clear(): void {
    if (this.small) execFileSync('umount', ['--lazy', this.folder]);
  }

  /** Whether the run goes on: its launcher runs, or, once that was killed, there is neither report nor end. */
  protected get running(): boolean {
    if (!this.alone) return this.process.exitCode === null && this.process.signalCode === null;
    return !existsSync(join(this.folder, 'report.json')) && !readJobState(this.folder)?.ended;
  }

  protected get steps(): number {
    const file = join(this.folder, 'metrics.jsonl');
    return existsSync(file) ? linesOf(file).length : 0;
  }

  private incidents(): Incident[] {
    const file = join(this.folder, 'job', 'incidents.jsonl');
    return existsSync(file) ? linesOf(file).map((line) => JSON.parse(line) as Incident) : [];
  }
}

/** Processes, sockets and shared files that a run has left behind. */
export function leftovers(folder: string): string[] {
  const processes = processesOf(folder);
  const own = join(dirname(folder), `pod-dist-${userInfo().uid}`);
  const files = existsSync(own) ? readdirSync(own) : [];
  return [
    ...(processes.length > 0 ? [`leaves processes: ${processes.join(' | ')}`] : []),
    ...(files.length > 0 ? [`leaves ${files.join(', ')} in ${own}`] : []),
  ];
}

/** Processes whose command line names a folder. */
export function processesOf(folder: string): string[] {
  const running = execFileSync('ps', ['-eo', 'pid,args'], { encoding: 'utf8' });
  return running.split('\n').filter((line) => line.includes(folder));
}

/** Digests of the weights that a run has ended with, and of their average where there is one. */
export function weightsOf(folder: string): string {
  const file = join(folder, 'report.json');
  if (!existsSync(file)) return 'none';
  const { weightsSha256, averageSha256 } = JSON.parse(readFileSync(file, 'utf8')) as Report;
  return [weightsSha256, averageSha256].join();
}

const times = new Set([
  'samplesPerSecond',
  'exposedMs',
  'seconds',
  'exposedShare',
  'loaderSeconds',
  'exposedSeconds',
]);

/** Digest of a run's record without its times. */
export function recordOf(folder: string): string {
  const hash = createHash('sha256');
  const file = join(folder, 'metrics.jsonl');
  if (!existsSync(file)) return 'none';
  for (const line of linesOf(file)) {
    // Where time went depends on the ranks that there were.
    if ((JSON.parse(line) as { kind: string }).kind === 'ranks') continue;
    hash.update(
      JSON.stringify(JSON.parse(line), (key, value: unknown) => (times.has(key) ? undefined : value)),
    );
  }
  return hash.digest('hex');
}

function linesOf(file: string): string[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line.endsWith('}'));
}
