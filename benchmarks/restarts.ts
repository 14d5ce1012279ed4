import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { median } from '../src/bench/statistics.js';

/**
 * Measures what the loss of a worker costs: in pod-dist with and without a spare, and in PyTorch or Lightning, which
 * torchrun restarts from checkpoints. Four workers train the digits' small network; rank 1 gets SIGKILL after a given
 * step. Prints for each run the seconds from the kill until a step is made that had not been made before, the steps that
 * are made again, and whether the final weights are those of an undisturbed run.
 *
 *     node dist/benchmarks/restarts.js [--torchrun PATH [--lightning]] [--only 'every 10'] [--workers 4] [--epochs 16] [--after 100] [--rounds 5]
 */
const { values } = parseArgs({
  options: {
    torchrun: { type: 'string' },
    lightning: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    workers: { type: 'string', default: '4' },
    epochs: { type: 'string', default: '16' },
    after: { type: 'string', default: '100' },
    rounds: { type: 'string', default: '5' },
  },
});
const after = Number(values.after);
const lookEveryMs = 5;
const root = fileURLToPath(new URL('../../', import.meta.url));
const cli = join(root, 'dist/launcher/cli.js');
const programs = { torch: 'restart_torch.py', lightning: 'restart_lightning.py' };
const digits = join(root, 'src/data/digits/digits.csv.gz');

/** A way to train that goes on after the loss of a worker. */
interface Subject {
  name: string;
  start(folder: string): ChildProcess;
  /** Numbers of the steps that are recorded, those made again included where they are recorded again. */
  steps(folder: string): number[];
  pidOf(folder: string, rank: number): number;
  weights(folder: string): string;
}

interface Result {
  /** Seconds from the kill to the next new step. */
  seconds: number;
  /** Steps made again; undefined where they are not recorded. */
  again?: number;
  equal: boolean;
}

function podDist(name: string, elastic: readonly string[]): Subject {
  const { workers, epochs } = values;
  const about = ['--backend', 'wasm', '--bitwise', workers, '--workers', workers, '--epochs', epochs];
  const json = (folder: string, file: string) =>
    JSON.parse(readFileSync(join(folder, 'run', file), 'utf8')) as Record<string, unknown>;
  return {
    name,
    start: (folder) =>
      spawn(process.execPath, [cli, 'launch', ...about, ...elastic, '--out', join(folder, 'run')], {
        stdio: 'ignore',
      }),
    steps: (folder) =>
      linesOf(join(folder, 'run', 'metrics.jsonl'))
        .filter((line) => line.startsWith('{"kind":"step"'))
        .map((line) => (JSON.parse(line) as { step: number }).step),
    pidOf: (folder, rank) => {
      const ranks = json(folder, 'job/job.json').ranks as { rank: number; pid: number }[];
      return ranks.find((one) => one.rank === rank)?.pid as number;
    },
    weights: (folder) => json(folder, 'report.json').weightsSha256 as string,
  };
}

function torch(name: string, torchrun: string, every: number, program = programs.torch): Subject {
  const { workers, epochs } = values;
  const about = ['--standalone', '--nproc-per-node', workers, '--max-restarts', '3'];
  return {
    name,
    // Without these, ranks look for those of the attempt before, and the restart hangs or fails.
    start: (folder) =>
      spawn(
        torchrun,
        [...about, join(root, 'benchmarks/peers', program), digits, folder, epochs, String(every)],
        {
          stdio: 'ignore',
          env: {
            ...process.env,
            TORCH_GLOO_LAZY_INIT: '1',
            TORCH_DISABLE_SHARE_RDZV_TCP_STORE: '1',
          },
        },
      ),
    steps: (folder) => linesOf(join(folder, 'steps.log')).map(Number),
    pidOf: (folder, rank) => Number(readFileSync(join(folder, `pid-${rank}`), 'utf8')),
    weights: (folder) => readFileSync(join(folder, 'weights.txt'), 'utf8'),
  };
}

/** Trains once; `kill`: loses rank 1 after a step. */
async function train(subject: Subject, kill: boolean): Promise<Omit<Result, 'equal'> & { weights: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'pod-dist-restarts-'));
  try {
    const child = subject.start(folder);
    const ended = once(child, 'exit');
    const until = async (condition: () => boolean) => {
      while (!condition()) {
        if (child.exitCode !== null) throw new Error(`${subject.name} has ended with ${child.exitCode}`);
        await delay(lookEveryMs);
      }
    };
    let seconds = 0;
    let again: number | undefined;
    if (kill) {
      await until(() => subject.steps(folder).length > after);
      process.kill(subject.pidOf(folder, 1), 'SIGKILL');
      const killed = performance.now();
      const last = () => subject.steps(folder).reduce((most, step) => Math.max(most, step), 0);
      let before = last();
      // Steps that were under way end within this time.
      while (performance.now() < killed + 50) {
        before = last();
        await delay(lookEveryMs);
      }
      await until(() => last() > before);
      seconds = (performance.now() - killed) / 1000;
    }
    await ended;
    if (child.exitCode !== 0) throw new Error(`${subject.name} has ended with ${child.exitCode}`);
    if (kill) {
      const steps = subject.steps(folder);
      const incidents = linesOf(join(folder, 'run', 'job', 'incidents.jsonl'));
      const replayed = incidents.map((line) => (JSON.parse(line) as { replayed?: number }).replayed ?? 0);
      again = steps.length - new Set(steps).size + replayed.reduce((sum, one) => sum + one, 0);
    }
    return { seconds, again, weights: subject.weights(folder) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function linesOf(file: string): string[] {
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : [];
}

const elastic = ['--elastic', '--set', 'elastic.faultsPerWorkerHour=1000'];
const all = [
  podDist('pod-dist, a spare', [...elastic, '--spares', '1']),
  podDist('pod-dist, no spare', elastic),
  podDist('pod-dist, a snapshot each step', [
    ...elastic,
    '--spares',
    '1',
    '--set',
    'elastic.snapshotSteps=1',
  ]),
];
if (values.torchrun !== undefined) {
  const version = execFileSync(values.torchrun.replace(/torchrun$/, 'python'), [
    '-c',
    'import torch; print(torch.__version__)',
  ]);
  console.log(`PyTorch ${version.toString().trim()}`);
  all.push(
    torch('torchrun, a checkpoint each epoch', values.torchrun, 0),
    torch('torchrun, a checkpoint every 10 steps', values.torchrun, 10),
  );
}
if (values.torchrun !== undefined && values.lightning) {
  const name = (when: string) => `Lightning under torchrun, a checkpoint ${when}`;
  all.push(
    torch(name('each epoch'), values.torchrun, 0, programs.lightning),
    torch(name('every 10 steps'), values.torchrun, 10, programs.lightning),
  );
}
const subjects = all.filter(({ name }) => name.includes(values.only));
const undisturbed = new Map<Subject, string>();
const results = new Map<Subject, Result[]>(subjects.map((subject) => [subject, []]));
for (const subject of subjects) undisturbed.set(subject, (await train(subject, false)).weights);
for (let round = 0; round < Number(values.rounds); round++) {
  for (const subject of subjects) {
    const { seconds, again, weights } = await train(subject, true);
    const equal = weights === undisturbed.get(subject);
    results.get(subject)?.push({ seconds, again, equal });
    console.log(
      `${subject.name}: ${seconds.toFixed(2)} s, ${again} steps again, ${equal ? 'equal' : 'other'} weights`,
    );
  }
}
for (const [{ name }, each] of results) {
  const of = (pick: (one: Result) => number) => each.map(pick).toSorted((a, b) => a - b);
  const seconds = of((one) => one.seconds);
  const again = of((one) => one.again ?? 0);
  console.log(
    `${name}: ${median(seconds).toFixed(2)} s (${seconds[0].toFixed(2)} to ${seconds.at(-1)?.toFixed(2)}), ` +
      `${median(again)} steps again, equal weights in ${each.filter(({ equal }) => equal).length} of ${each.length}`,
  );
}
