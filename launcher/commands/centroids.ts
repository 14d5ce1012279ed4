import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { cosineBound, fingerprint, generateCentroids, welchBound } from '../../src/pedcc/index.js';
import { measureCosines } from '../../src/pedcc/measure.js';
import { checkCentroidFile, writeCentroids } from '../centroid-file.js';
import { summaries } from '../summaries.js';
import { clearLine, terminal } from '../../src/console/terminal.js';

const patienceMs = 2000;
const everyMs = 1000;

interface CentroidsArguments {
  classes: number;
  dim: number;
  seed: number;
  out?: string;
  json: boolean;
}

export const centroidsCommand: CommandModule<object, CentroidsArguments> = {
  command: 'centroids',
  describe: summaries.centroids,
  builder: (yargs) =>
    yargs
      .option('classes', {
        type: 'number',
        alias: 'k',
        demandOption: true,
        requiresArg: true,
        describe: 'number of classes',
      })
      .option('dim', {
        type: 'number',
        alias: 'd',
        demandOption: true,
        requiresArg: true,
        describe: 'feature dimension',
      })
      .option('seed', { type: 'number', default: 1, requiresArg: true, describe: 'decides the rotation' })
      .option('out', {
        type: 'string',
        alias: 'o',
        requiresArg: true,
        describe: 'write them to a .npy, .json or .bin file',
      })
      .option('json', {
        type: 'boolean',
        default: false,
        describe: 'print the measurements as JSON, and nothing else',
      })
      .example('$0 centroids --classes 10 --dim 256', 'a regular simplex: every cosine -1/9')
      .example('$0 centroids -k 1000 -d 128 --out centroids.npy', 'a packing, for NumPy'),
  handler: makeCentroids,
};

async function makeCentroids({
  classes,
  dim,
  seed,
  out,
  json,
}: ArgumentsCamelCase<CentroidsArguments>): Promise<void> {
  if (out !== undefined) checkCentroidFile(out);
  const started = performance.now();
  const progress = new SlowProgress(started);
  const { values, construction } = generateCentroids({ classes, dim, seed, onProgress: progress.show });
  progress.clear();
  const seconds = (performance.now() - started) / 1000;
  const { maxCosine, minCosine, pairs, complete } = measureCosines(values, classes, dim);
  const bound = cosineBound(classes, dim);
  const welch = welchBound(classes, dim);
  const sha256 = fingerprint(values);
  if (out !== undefined) writeCentroids(out, { classes, dim, seed, values });
  if (json) {
    const measured = { construction, maxCosine, minCosine, bound, welch, pairs, complete, sha256, seconds };
    process.stdout.write(`${JSON.stringify({ classes, dim, seed, ...measured, out })}\n`);
    return;
  }
  const lines = [
    `${classes} centroids in ${dim} dimensions, seed ${seed}: ${construction}, made in ${seconds.toFixed(3)} s`,
    `largest cosine  ${maxCosine.toFixed(9)} (${complete ? 'all' : 'a sample of'} ${pairs.toLocaleString('en')} pairs)`,
    `smallest cosine ${minCosine.toFixed(9)}`,
    `best possible   ${bound.toFixed(9)} for the largest (${boundName(classes, dim)})`,
    `SHA-256         ${sha256}`,
  ];
  if (construction === 'packing')
    lines.splice(4, 0, `Welch's bound   ${welch.toFixed(9)} for the largest without its sign`);
  if (out !== undefined) lines.push(`written to      ${out}`);
  process.stdout.write(`${lines.join('\n')}\n`);
}

/** Progress line on standard error, shown once the work has taken two seconds. */
class SlowProgress {
  private last: number;
  private shown = false;

  constructor(started: number) {
    this.last = started + patienceMs - everyMs;
  }

  readonly show = (share: number): void => {
    const now = performance.now();
    if (now - this.last < everyMs) return;
    this.last = now;
    this.shown = true;
    const text = `centroids ${Math.floor(100 * share)} %`;
    terminal().write(process.stderr.isTTY ? `${clearLine}${text}` : `${text}\n`);
  };

  clear(): void {
    if (this.shown && process.stderr.isTTY) terminal().write(clearLine);
  }
}

function boundName(classes: number, dim: number): string {
  if (classes <= dim + 1) return 'regular simplex';
  return classes <= 2 * dim ? "Rankin's bound" : "Levenshtein's bound, seldom reached";
}
