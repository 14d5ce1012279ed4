import * as tf from '../src/tf/index.js';
import Table from 'cli-table3';
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { BackendChoice } from '../src/backend/backends.js';
import { initBackend } from '../src/backend/index.js';
import { LocalCommunicator } from '../src/collective/local-communicator.js';
import { compare } from '../src/evaluation/comparison.js';
import { cosineBound, welchBound, type Construction } from '../src/pedcc/index.js';
import { CentroidSource } from '../src/pedcc/source.js';
import { randomStream } from '../src/util/random.js';
import { classVectors } from '../src/classifier/class-vectors.js';
import {
  applyLoss,
  classVariables,
  createClassWeights,
  lossOf,
  sourceTargets,
  losses,
} from '../src/losses/index.js';
import { median } from '../src/bench/statistics.js';

/**
 * Measures what many classes cost beside the backbone: time and memory of the loss in a training step and in an
 * evaluation. Each case runs in a process of its own, so that its peak of resident memory is its own too.
 *
 *     made      POD Loss, centroids made row by row
 *     kept      POD Loss, centroids kept as one matrix
 *     softmax   trained class weights: logits of every class and a gradient of every weight
 */
const modes = ['made', 'kept', 'softmax'] as const;
type Mode = (typeof modes)[number];

const sizes: readonly [classes: number, dim: number][] = [
  [10_000, 256],
  [10_000, 512],
  [100_000, 256],
  [100_000, 512],
];
const batch = 128;
const warmup = 2;
const steps = 11;

interface Result {
  classes: number;
  dim: number;
  mode: Mode;
  backend: string;
  construction: Construction;
  maxCosine: number;
  welch: number;
  bound: number;
  /** Time until the first step can start, with the hash that ranks compare. */
  openSeconds: number;
  /** Median time of the loss of 128 images and its gradients. */
  stepMs: number;
  /** Median time in it for making the centroids of the batch. */
  rowsMs: number;
  /** Median time to classify 128 images. */
  evaluateMs: number;
  /** Largest resident memory, less that of a started backend. */
  memoryMegabytes: number;
}

async function measure(classes: number, dim: number, mode: Mode, backend: string): Promise<Result> {
  const { name } = await initBackend(backend as BackendChoice);
  tf.tidy(() => void tf.matMul(tf.ones([batch, dim]), tf.ones([dim, dim])).dataSync());
  const residentBefore = process.memoryUsage.rss();

  const started = performance.now();
  const centroids = new CentroidSource({ classes, dim, seed: 1 }, mode === 'kept' ? Infinity : 0);
  centroids.sha256();
  const config = losses.schema.parse({ name: mode === 'softmax' ? 'softmax' : 'pod' });
  const classWeights = createClassWeights(lossOf(config), { classes, dim, seed: 1 });
  const context = { communicator: new LocalCommunicator(), targets: sourceTargets(centroids) };
  const lossOfRun = lossOf(config).create(config, context);
  const openSeconds = (performance.now() - started) / 1000;

  const random = randomStream(2);
  const features = tf.variable(tf.randomNormal([batch, dim], 0, 1, 'float32', 3));
  const weights = classVariables(classWeights);
  const inputs = { features: features as unknown as tf.Tensor2D, classWeights: weights };
  const vectors = classVectors(centroids, classWeights);
  const times = { step: [] as number[], rows: [] as number[], evaluate: [] as number[] };
  for (let step = 0; step < warmup + steps; step++) {
    const labels = Int32Array.from({ length: batch }, () => random.below(classes));
    const shard = { labels, counts: [batch] };
    const milestones = [performance.now()];
    tf.tidy(() => {
      const loss = () => applyLoss(lossOfRun, inputs, shard, { isRoot: true }).loss;
      const { grads } = tf.variableGrads(loss, [features, ...weights] as tf.Variable[]);
      for (const gradient of Object.values(grads)) gradient.dataSync();
    });
    milestones.push(performance.now());
    centroids.rows(labels);
    milestones.push(performance.now());
    compare(features as unknown as tf.Tensor2D, labels, vectors);
    milestones.push(performance.now());
    if (step < warmup) continue;
    (['step', 'rows', 'evaluate'] as const).forEach((key, index) =>
      times[key].push(milestones[index + 1] - milestones[index]),
    );
  }
  return {
    classes,
    dim,
    mode,
    backend: name,
    construction: centroids.construction,
    maxCosine: centroids.maxCosine,
    welch: welchBound(classes, dim),
    bound: cosineBound(classes, dim),
    openSeconds,
    stepMs: median(times.step),
    rowsMs: median(times.rows),
    evaluateMs: median(times.evaluate),
    memoryMegabytes: (process.resourceUsage().maxRSS * 1024 - residentBefore) / 1e6,
  };
}

function show(results: readonly Result[]): void {
  const table = new Table({
    head: ['classes', 'dim', 'mode', 'cosine', 'Welch', 'open s', 'step ms', 'rows ms', 'eval ms', 'MB'],
    style: { head: [], border: [] },
  });
  for (const result of results) {
    table.push([
      result.classes,
      result.dim,
      result.mode,
      result.mode === 'softmax' ? '' : `${result.maxCosine.toFixed(4)} (${result.construction})`,
      result.welch.toFixed(4),
      result.openSeconds.toFixed(2),
      result.stepMs.toFixed(1),
      result.mode === 'softmax' ? '' : result.rowsMs.toFixed(1),
      result.evaluateMs.toFixed(0),
      result.memoryMegabytes.toFixed(0),
    ]);
  }
  process.stdout.write(`backend ${results[0].backend}, ${batch} images a step\n${table.toString()}\n`);
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean' }, backend: { type: 'string', default: 'auto' } },
});
if (positionals.length > 0) {
  const [classes, dim, mode] = positionals;
  const result = await measure(Number(classes), Number(dim), mode as Mode, values.backend);
  process.stdout.write(`${JSON.stringify(result)}\n`);
  process.exit();
}
const script = fileURLToPath(import.meta.url);
const results = sizes.flatMap(([classes, dim]) =>
  modes.map((mode) => {
    const args = [script, String(classes), String(dim), mode, '--backend', values.backend];
    const output = execFileSync(process.execPath, args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 280_000,
    });
    return JSON.parse(output) as Result;
  }),
);
if (values.json) process.stdout.write(`${JSON.stringify(results)}\n`);
else show(results);
