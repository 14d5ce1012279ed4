import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { PodDistError, UserError } from '../src/util/errors.js';
import { readRuns } from '../src/report/run.js';
import { median } from '../src/bench/statistics.js';

/**
 * Measures weak scaling of whole training runs (Linux): N workers on N cores against one worker on one core, with the same
 * batch for each worker. `pod-dist launch` with its loader and everything else, each run on its own cores, in turns; N unconnected
 * runs at once, a core each, show what the machine allows:
 * node dist/benchmarks/weak-scaling.js --root cifar10-images [--models small-cnn,resnet20] [--batch 64] [--workers 2]
 * [--seconds 20] [--rounds 3] [--backend native].
 */
const { values } = parseArgs({
  options: {
    root: { type: 'string' },
    models: { type: 'string', default: 'small-cnn,resnet20' },
    batch: { type: 'string', default: '64' },
    workers: { type: 'string', default: '2' },
    seconds: { type: 'string', default: '20' },
    rounds: { type: 'string', default: '3' },
    backend: { type: 'string', default: 'native' },
  },
});
const { root } = values;
if (root === undefined)
  throw new UserError('USAGE', 'give --root, an image folder such as CIFAR-10 as images');

const cli = fileURLToPath(new URL('../launcher/cli.js', import.meta.url));
/** Steps before the counted ones: kernels are chosen, caches filled. */
const warmup = 10;
const startWithinSeconds = 120;
const endWithinSeconds = 30;

const count = Number(values.workers);
const cores = Array.from({ length: count }, (_, core) => String(core));
const systems = [
  { name: '1 worker, 1 core', measure: (model: string) => imagesPerSecond(model, 1, '0') },
  {
    name: `${count} workers, ${count} cores`,
    measure: (model: string) => imagesPerSecond(model, count, cores.join(',')),
  },
  {
    name: `${count} unconnected runs, a core each`,
    measure: async (model: string) => {
      const speeds = await Promise.all(cores.map((core) => imagesPerSecond(model, 1, core)));
      return speeds.reduce((sum, speed) => sum + speed, 0);
    },
  },
];

const row = (cells: readonly string[]) => console.log(`| ${cells.join(' | ')} |`);
const head = ['model, images/s', ...systems.map(({ name }) => name), 'workers: one', 'unconnected: one'];
row(head);
row(head.map(() => '---'));
for (const model of values.models.split(',')) {
  const speeds = systems.map((): number[] => []);
  for (let round = 0; round < Number(values.rounds); round++)
    for (const [index, { measure }] of systems.entries()) speeds[index].push(await measure(model));
  const [one, ...others] = speeds;
  const ratios = others.map((many) =>
    withAll(
      many.map((speed, round) => speed / one[round]),
      2,
    ),
  );
  row([model, ...speeds.map((all) => withAll(all, 0)), ...ratios]);
}

function withAll(all: readonly number[], digits: number): string {
  return `${median(all).toFixed(digits)} (${all.map((value) => value.toFixed(digits)).join(', ')})`;
}

/** Median of the steps that a run makes in the given time; the run is then ended. */
async function imagesPerSecond(model: string, workers: number, onCores: string): Promise<number> {
  const out = mkdtempSync(join(tmpdir(), 'pod-dist-bench-'));
  const settings = [
    `data.root=${root}`,
    `model.name=${model}`,
    `batchSize=${workers * Number(values.batch)}`,
  ];
  const child = spawn(
    'taskset',
    [
      ...['-c', onCores, process.execPath, cli, 'launch', '--config', 'cifar10-resnet20'],
      ...['--workers', String(workers), '--backend', values.backend, '--out', join(out, 'run')],
      ...settings.flatMap((setting) => ['--set', setting]),
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors = (errors + text).slice(-2_000)));
  const ended = once(child, 'close');
  try {
    const started = performance.now();
    while (stepSpeeds(join(out, 'run')).length < warmup) {
      if (child.exitCode !== null || performance.now() - started > 1000 * startWithinSeconds)
        throw new PodDistError('BENCHMARK_FAILED', `no step of ${workers} x ${model}: ${errors.trim()}`);
      await sleep(200);
    }
    await sleep(1000 * Number(values.seconds));
    return median(stepSpeeds(join(out, 'run')).slice(warmup));
  } finally {
    child.kill('SIGTERM');
    const late = setTimeout(() => child.kill('SIGKILL'), 1000 * endWithinSeconds);
    await ended;
    clearTimeout(late);
    rmSync(out, { recursive: true });
  }
}

function stepSpeeds(run: string): number[] {
  const metrics = join(run, 'metrics.jsonl');
  if (!existsSync(metrics) || readFileSync(metrics).length === 0) return [];
  return readRuns([run])[0].steps.map(({ samplesPerSecond }) => samplesPerSecond);
}
