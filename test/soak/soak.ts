/**
 * Trains with random faults, and compares with a run that nothing disturbed: `node dist/test/soak/soak.js --faults 1000
 * --seed 7`. The same seed orders the same faults; when a fault comes depends on the machine.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { readJobState } from '../../src/record/job-state.js';
import { randomStream } from '../../src/util/random.js';
import { actions, corrupt, disconnect, phases } from './inject.js';

const cli = fileURLToPath(new URL('../../launcher/cli.js', import.meta.url));
const injector = fileURLToPath(new URL('./redirect.js', import.meta.url));

/** Settings of disturbed runs besides. */
const elastic = ['--elastic', ...set('elastic.faultsPerWorkerHour=100000')];

const smallBatches = ['batchSize=30', 'accumulate=3'];

/** Settings of the runs, in turns. Where gradients are rounded, snapshots settle what rounding took away, in every run. */
const variants: readonly (readonly string[])[] = [
  ['--workers', '4', '--bitwise', '4', ...set('elastic.spares=1')],
  ['--workers', '2'],
  ['--workers', '4', '--bitwise', '4', ...set('elastic.least=2', 'ema.decay=0.9')],
  ['--workers', '3', ...set('optimizer.name=adamw', 'learningRate.rate=0.01', 'elastic.spares=2')],
  ['--workers', '3', ...set('distributed.transport=tcp', 'elastic.snapshotSteps=1')],
  ['--workers', '2', ...set('model={name: small-cnn, batchNorm: true}', 'batchNorm.statistics=local')],
  ['--workers', '3', '--elastic', ...set('distributed.wire=bf16', ...smallBatches)],
  ['--workers', '4', '--bitwise', '4', ...set('elastic.spares=1', 'optimizer.clipNorm=1', ...smallBatches)],
];

function set(...settings: readonly string[]): string[] {
  return settings.flatMap((setting) => ['--set', setting]);
}

/** Share of the recoveries that must be from a snapshot; both copies of one are lost seldom. */
const leastFromSnapshot = 0.5;

export interface SoakOptions {
  faults: number;
  seed: number;
  /** Faults in each run. */
  perRun?: number;
  /** Whether the disk of each run is full for a while, and then a kept piece is flipped (Linux, root). */
  harsh?: boolean;
  /** Share of the faults that end no process: a rank finds another one gone. */
  disconnects?: number;
  /** Which of the variants; default: all of them, in turns. */
  of?: readonly number[];
  epochs?: number;
  onLine?(line: string): void;
}

export interface SoakResult {
  runs: number;
  faults: number;
  /** What was not as it should be, in lines. */
  failures: string[];
  /** Seconds from each first evidence until all ranks went on. */
  seconds: number[];
  /** Recoveries that went on from a snapshot, not from a checkpoint. */
  fromSnapshot: number;
}

/** Runs one after another that end before a fault comes to them, at most. */
const mostIdle = 3;

/** Trains until so many faults have been made. */
export async function soak(options: SoakOptions): Promise<SoakResult> {
  const { faults, seed, perRun = 12, disconnects = 0.1, epochs = 8 } = options;
  const { harsh = false, of = [...variants.keys()], onLine = () => {} } = options;
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'soak-'));
  const wanted = new Map<number, Outcome>();
  const result: SoakResult = { runs: 0, faults: 0, failures: [], seconds: [], fromSnapshot: 0 };
  let idle = 0;
  while (result.faults < faults) {
    const which = of[result.runs % of.length];
    const settings = [...variants[which], '--epochs', String(epochs), '--backend', 'wasm'];
    const name = join(folder, String(result.runs));
    if (!wanted.has(which)) wanted.set(which, await train(`${name}-undisturbed`, settings));
    const random = randomStream(seed, result.runs);
    const run = new DisturbedRun(name, [...settings, ...elastic], disconnects, harsh);
    const orders = Math.min(perRun, faults - result.faults);
    if (harsh) await run.fillDisk();
    const made = await run.disturb(orders, () => random.uniform());
    if (harsh) run.corrupt();
    result.faults += made;
    idle = made === 0 ? idle + 1 : 0;
    if (idle > mostIdle) throw new Error(`${idle} runs in which no fault was carried out`);
    const outcome = await run.outcome();
    result.runs++;
    result.seconds.push(...outcome.seconds);
    result.fromSnapshot += outcome.fromSnapshot;
    const before = wanted.get(which) as Outcome;
    const problems = [...differences(outcome, before, harsh), ...leftovers(name)];
    run.clear();
    for (const problem of problems)
      result.failures.push(`run ${result.runs - 1} (${settings.join(' ')}) ${problem}`);
    onLine(
      `run ${result.runs - 1}: ${run.made.join(', ')}; ${problems.length === 0 ? 'equal' : problems.join('; ')}; ${result.faults} faults so far`,
    );
    if (problems.length === 0) rmSync(name, { recursive: true, force: true });
  }
  // Checkpoints lead to the same weights: equal ones do not show that snapshots were of use.
  if (result.fromSnapshot < leastFromSnapshot * result.seconds.length)
    result.failures.push(
      `${result.fromSnapshot} of ${result.seconds.length} recoveries were from a snapshot`,
    );
  if (result.failures.length === 0) rmSync(folder, { recursive: true, force: true });
  return result;
}

/** What a run has come to that it should not have. A flipped bit may end it, by name, but no run has other weights. */
function differences(
  { code, lastLine, weights, metrics }: Outcome,
  wanted: Outcome,
  harsh: boolean,
): string[] {
  if (harsh && code === 1 && lastLine.includes('SILENT_CORRUPTION')) return [];
  return [
    ...(code === 0 || (harsh && code === 74) ? [] : [`ended with ${code}: ${lastLine}`]),
    ...(weights === wanted.weights ? [] : ['has other weights']),
    // Lines that a full disk has not taken are missing.
    ...(metrics === wanted.metrics || (harsh && code === 74) ? [] : ['has another record']),
  ];
}

interface Outcome {
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
class Run {
  readonly made: string[] = [];
  protected readonly orders: string;
  protected readonly process: ChildProcess;
  private readonly ended: Promise<number | null>;
  private output = '';

  constructor(
    protected readonly folder: string,
    settings: readonly string[],
    /** Whether the run has a disk of its own, which is small. */
    protected readonly small = false,
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
        NODE_OPTIONS: `--import ${injector}`,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const from of [this.process.stdout, this.process.stderr])
      from?.on('data', (text: Buffer) => (this.output += text.toString()));
    this.ended = new Promise((resolve) => this.process.once('close', resolve));
  }

  async outcome(): Promise<Outcome> {
    const code = await this.ended;
    rmSync(this.orders, { recursive: true, force: true });
    return {
      code,
      lastLine: this.output.trimEnd().split('\n').at(-1) ?? '',
      weights: [...this.output.matchAll(/"(?:weights|average)Sha256": ?"[0-9a-f]+"/g)].join(),
      metrics: recordOf(this.folder),
      seconds: this.incidents().map(({ seconds }) => seconds),
      fromSnapshot: this.incidents().filter(({ replayed }) => replayed !== undefined).length,
    };
  }

  protected incidents(): Incident[] {
    const file = join(this.folder, 'job', 'incidents.jsonl');
    return existsSync(file) ? linesOf(file).map((line) => JSON.parse(line) as Incident) : [];
  }

  protected get running(): boolean {
    return this.process.exitCode === null && this.process.signalCode === null;
  }

  protected get steps(): number {
    const file = join(this.folder, 'metrics.jsonl');
    return existsSync(file) ? linesOf(file).length : 0;
  }
}

class DisturbedRun extends Run {
  constructor(
    folder: string,
    settings: readonly string[],
    private readonly disconnects: number,
    small: boolean,
  ) {
    super(folder, settings, small);
  }

  /** Leaves no room on the disk of the run for two seconds, in which a rank is killed. */
  async fillDisk(): Promise<void> {
    await this.until(() => this.steps > 0);
    const filler = join(this.folder, 'logs', 'filler');
    const file = openSync(filler, 'w');
    try {
      for (;;) writeSync(file, Buffer.alloc(2 ** 16));
    } catch {
      this.give('forward.kill');
      await delay(2000);
    } finally {
      closeSync(file);
      rmSync(filler);
    }
  }

  /** Orders a wrong number in what a rank keeps, just before it is needed. */
  corrupt(): void {
    if (this.running) this.give(corrupt);
  }

  clear(): void {
    if (this.small) execFileSync('umount', ['--lazy', this.folder]);
  }

  /** Orders so many faults, one after another; resolves with the number that was carried out. */
  async disturb(count: number, random: () => number): Promise<number> {
    let made = 0;
    // A fault before the first step ends a run.
    await this.until(() => this.steps > 0);
    while (made < count && this.running) {
      const before = this.steps;
      const two = random() < 0.15;
      for (let index = 0; index < (two ? 2 : 1); index++) this.order(random);
      if (!(await this.until(() => readdirSync(this.orders).length === 0))) break;
      made += two ? 2 : 1;
      if (!(await this.until(() => this.steps > before + 2))) break;
    }
    return made;
  }

  private order(random: () => number): void {
    const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)];
    if (random() < this.disconnects) return this.give(disconnect);
    if (random() < 0.12) return this.killAgent();
    if (random() < 0.05) return this.killBoth(random);
    const phase = pick(phases);
    // A recovery happens only after another fault.
    if (phase === 'recovery' || phase === 'start') writeFileSync(join(this.orders, 'forward.kill'), '');
    // A worker that stops costs five seconds of silence, so it is ordered less often.
    const action = random() < 0.1 ? 'stop' : pick(actions.filter((one) => one !== 'stop'));
    this.give(`${phase}.${action}`);
  }

  private give(order: string): void {
    writeFileSync(join(this.orders, order), '');
    this.made.push(order);
  }

  /** Kills a rank, and the one that has the copy of what it alone has. */
  private killBoth(random: () => number): void {
    const ranks = readJobState(this.folder)?.ranks ?? [];
    const first = Math.floor(random() * ranks.length);
    for (const rank of [first, (first + 1) % ranks.length])
      try {
        process.kill(ranks[rank].pid, 'SIGKILL');
      } catch {
        // Another fault was faster.
      }
    this.made.push('both.kill');
  }

  /** Kills the process that runs the coordinator. */
  private killAgent(): void {
    const state = readJobState(this.folder);
    if (!state) return;
    process.kill(state.agent.pid, 'SIGKILL');
    this.made.push('agent.kill');
  }

  private async until(condition: () => boolean): Promise<boolean> {
    const deadline = performance.now() + 60_000;
    while (this.running && performance.now() < deadline) {
      if (condition()) return true;
      await delay(50);
    }
    return condition();
  }
}

async function train(folder: string, settings: readonly string[]): Promise<Outcome> {
  const outcome = await new Run(folder, settings).outcome();
  if (outcome.code !== 0) throw new Error(`the undisturbed run failed: ${outcome.lastLine}`);
  rmSync(folder, { recursive: true, force: true });
  return outcome;
}

/** Processes, sockets and shared files that a run has left. */
function leftovers(folder: string): string[] {
  const running = execFileSync('ps', ['-eo', 'pid,args'], { encoding: 'utf8' });
  const processes = running.split('\n').filter((line) => line.includes(folder));
  const own = join(dirname(folder), `pod-dist-${userInfo().uid}`);
  const files = existsSync(own) ? readdirSync(own) : [];
  return [
    ...(processes.length > 0 ? [`leaves processes: ${processes.join(' | ')}`] : []),
    ...(files.length > 0 ? [`leaves ${files.join(', ')} in ${own}`] : []),
  ];
}

const times = new Set([
  'samplesPerSecond',
  'exposedMs',
  'seconds',
  'exposedShare',
  'loaderSeconds',
  'exposedSeconds',
]);

function recordOf(folder: string): string {
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

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    options: {
      faults: text,
      seed: text,
      'per-run': text,
      variants: text,
      disconnects: text,
      harsh: { type: 'boolean' },
    },
  });
  const { faults = '1000', seed = '1', 'per-run': perRun = '12', disconnects = '0.1' } = values;
  const of = values.variants?.split(',').map(Number);
  const result = await soak({
    faults: Number(faults),
    seed: Number(seed),
    perRun: Number(perRun),
    disconnects: Number(disconnects),
    harsh: values.harsh,
    of,
    epochs: 6 + Math.ceil(Number(perRun) / 4),
    onLine: (line) => console.log(line),
  });
  const sorted = result.seconds.toSorted((a, b) => a - b);
  const at = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]?.toFixed(2);
  console.log(
    `${result.faults} faults in ${result.runs} runs; recovery: median ${at(0.5)} s, 99 % within ${at(0.99)} s; ${result.fromSnapshot} of ${sorted.length} from a snapshot`,
  );
  for (const failure of result.failures) console.log(`FAILED: ${failure}`);
  process.exitCode = result.failures.length > 0 ? 1 : 0;
}
