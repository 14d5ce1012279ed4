import { stream } from '../random.js';

/** Multiply-adds that one packing may cost. */
const budget = 2e10;
const mostSteps = 400;
const fewestSteps = 10;

/**
 * `classes` unit vectors in R^dim with a small largest cosine, by repulsion: [classes * dim], row-major.
 *
 * From seeded normal directions, each step moves every vector against the gradient of
 * (1/beta) log sum over pairs of exp(beta cos), a smooth bound of the largest cosine, and normalises. beta grows from
 * 10 to 1000 over the steps, so that first all pairs are spread and then the closest; the step shrinks likewise. The
 * best configuration seen is kept. Each step costs classes^2 dim multiply-adds; the number of steps follows from a
 * fixed budget of work, never from time, so the result depends on (classes, dim, seed) alone.
 */
export function packing(
  classes: number,
  dim: number,
  seed: number,
): { values: Float64Array; maxCosine: number } {
  const random = stream(seed, 0x9ac);
  let values = Float64Array.from({ length: classes * dim }, () => random.normal());
  normaliseRows(values, classes, dim);
  const steps = Math.max(fewestSteps, Math.min(mostSteps, Math.floor(budget / (classes * classes * dim))));

  let best = { values, maxCosine: Infinity };
  for (let step = 0; step <= steps; step++) {
    const share = step / steps;
    const beta = 10 * 100 ** share;
    const { forces, maxCosine } = repulsion(values, classes, dim, beta);
    if (maxCosine < best.maxCosine) best = { values: values.slice(), maxCosine };
    const stride = 0.3 * (1 - share) + 0.002;
    values = move(values, forces, classes, dim, stride);
  }
  return best;
}

/** Sum over the other vectors, weighted by exp(beta (cos - max cos)); and the largest cosine. */
function repulsion(values: Float64Array, classes: number, dim: number, beta: number) {
  const forces = new Float64Array(classes * dim);
  const cosines = new Float64Array(classes);
  let maxCosine = -1;
  for (let i = 0; i < classes; i++) {
    let largest = -1;
    for (let j = 0; j < classes; j++) {
      if (j === i) continue;
      cosines[j] = dot(values, i * dim, j * dim, dim);
      if (cosines[j] > largest) largest = cosines[j];
    }
    if (largest > maxCosine) maxCosine = largest;
    let total = 0;
    for (let j = 0; j < classes; j++) {
      if (j === i) continue;
      const weight = Math.exp(beta * (cosines[j] - largest));
      if (weight < 1e-6) continue;
      total += weight;
      for (let c = 0; c < dim; c++) forces[i * dim + c] += weight * values[j * dim + c];
    }
    for (let c = 0; c < dim; c++) forces[i * dim + c] /= total;
  }
  return { forces, maxCosine };
}

function move(
  values: Float64Array,
  forces: Float64Array,
  classes: number,
  dim: number,
  stride: number,
): Float64Array<ArrayBuffer> {
  const moved = new Float64Array(values.length);
  for (let index = 0; index < values.length; index++) moved[index] = values[index] - stride * forces[index];
  normaliseRows(moved, classes, dim);
  return moved;
}

function normaliseRows(values: Float64Array, classes: number, dim: number): void {
  for (let row = 0; row < classes; row++) {
    const length = Math.sqrt(dot(values, row * dim, row * dim, dim));
    for (let c = 0; c < dim; c++) values[row * dim + c] /= length;
  }
}

function dot(values: Float64Array, left: number, right: number, dim: number): number {
  let sum = 0;
  for (let c = 0; c < dim; c++) sum += values[left + c] * values[right + c];
  return sum;
}
