import Table from 'cli-table3';
import { cosineBound, generateCentroids, type Construction } from '../src/pedcc/index.js';
import { measureCosines } from '../src/pedcc/measure.js';

/** Generation of centroids: median time, and how far their cosines are from what they should be. */
const sizes: readonly [classes: number, dim: number, runs: number][] = [
  [10, 256, 21],
  [100, 512, 21],
  [1000, 1024, 11],
  [10_000, 10_240, 3],
  [400, 256, 11],
  [200, 32, 3],
  [1000, 128, 3],
  [2000, 256, 3],
];

interface Result {
  classes: number;
  dim: number;
  construction: Construction;
  /** Median over the runs. */
  milliseconds: number;
  runs: number;
  maxCosine: number;
  /** Lower bound of the largest cosine. */
  bound: number;
  /** Largest distance of a measured cosine from -1/(k - 1); of simplices. */
  deviation?: number;
  pairs: number;
  complete: boolean;
}

function measure([classes, dim, runs]: (typeof sizes)[number]): Result {
  const times: number[] = [];
  let centroids = generateCentroids({ classes, dim, seed: 1 });
  for (let run = 0; run < runs; run++) {
    const started = performance.now();
    centroids = generateCentroids({ classes, dim, seed: 1 });
    times.push(performance.now() - started);
  }
  const { construction } = centroids;
  const { maxCosine, minCosine, pairs, complete } = measureCosines(centroids.values, classes, dim);
  const bound = cosineBound(classes, dim);
  const deviation =
    construction === 'simplex'
      ? Math.max(Math.abs(maxCosine - bound), Math.abs(minCosine - bound))
      : undefined;
  const milliseconds = times.toSorted((a, b) => a - b)[runs >> 1];
  return { classes, dim, construction, milliseconds, runs, maxCosine, bound, deviation, pairs, complete };
}

const results = sizes.map(measure);
if (process.argv.includes('--json')) {
  process.stdout.write(`${JSON.stringify(results)}\n`);
} else {
  const table = new Table({
    head: [
      'classes',
      'dim',
      'construction',
      'median ms',
      'runs',
      'largest cosine',
      'bound',
      'deviation',
      'pairs',
    ],
    style: { head: [], border: [] },
  });
  for (const { classes, dim, construction, milliseconds, runs, ...rest } of results) {
    const { maxCosine, bound, deviation, pairs, complete } = rest;
    table.push([
      classes,
      dim,
      construction,
      milliseconds.toFixed(milliseconds < 10 ? 2 : 0),
      runs,
      maxCosine.toFixed(8),
      bound.toFixed(8),
      deviation?.toExponential(1) ?? '',
      complete ? 'all' : `${pairs.toLocaleString('en')} sampled`,
    ]);
  }
  process.stdout.write(`${table.toString()}\n`);
}
