/**
 * Trains with random faults, and compares with a run that nothing disturbed: `node dist/test/soak/soak.js --faults 1000
 * --seed 7`. The same seed orders the same faults; when a fault comes depends on the machine.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { randomStream } from '../../src/util/random.js';
import { DisturbedRun } from './disturbed-run.js';
import { leftovers, Run, type Outcome } from './run.js';

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

/** Least share of the recoveries that must start from a snapshot; both copies of one are rarely lost. */
const leastFromSnapshot = 0.5;

export interface SoakOptions {
  faults: number;
  seed: number;
  /** Faults in each run. */
  perRun?: number;
  /** Whether the disk of each run is full for two seconds and a snapshot is flipped later (Linux, root). */
  harsh?: boolean;
  /** Share of the faults that are lost connections, which end no process. */
  disconnects?: number;
  /** Which of the variants; default: all of them, in turns. */
  of?: readonly number[];
  /** Settings of every run besides. */
  settings?: readonly string[];
  epochs?: number;
  onLine?(line: string): void;
}

export interface SoakResult {
  runs: number;
  faults: number;
  /** A line for everything that differs or was left behind. */
  failures: string[];
  /** Seconds of each recovery, from the first evidence of the fault until all ranks continue. */
  seconds: number[];
  /** Recoveries that went on from a snapshot, not from a checkpoint. */
  fromSnapshot: number;
}

/** Number of consecutive runs that may end before any fault is carried out. */
const mostIdle = 3;

/** Trains until so many faults have been made. */
export async function soak(options: SoakOptions): Promise<SoakResult> {
  const { faults, seed, perRun = 12, disconnects = 0.1, epochs = 8 } = options;
  const { harsh = false, of = [...variants.keys()], settings: own = [], onLine = () => {} } = options;
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'soak-'));
  const wanted = new Map<number, Outcome>();
  const result: SoakResult = { runs: 0, faults: 0, failures: [], seconds: [], fromSnapshot: 0 };
  let idle = 0;
  while (result.faults < faults) {
    const which = of[result.runs % of.length];
    const settings = [...variants[which], ...set(...own), '--epochs', String(epochs), '--backend', 'wasm'];
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

/**
 * Differences between a run and the undisturbed one. A flipped bit may end a run with SILENT_CORRUPTION; no run
 * may have other weights.
 */
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

async function train(folder: string, settings: readonly string[]): Promise<Outcome> {
  const outcome = await new Run(folder, settings).outcome();
  if (outcome.code !== 0) throw new Error(`the undisturbed run failed: ${outcome.lastLine}`);
  rmSync(folder, { recursive: true, force: true });
  return outcome;
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
      set: { type: 'string', multiple: true },
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
    settings: values.set,
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
