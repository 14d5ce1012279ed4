import { randomStream } from '../util/random.js';
import { Repulsion } from './repulsion.js';

/** Multiply-adds that the steps of one packing cost where they are many, where they are few, and measuring it. */
const budget = 3e10;
const largestBudget = 4e11;
const measureBudget = 2e11;
const mostSteps = 1000;
const fewestSteps = 6;

/** Schedule of the steps, from the first to the last. */
interface Descent {
  momentum: number;
  /** Inverse temperature. */
  beta: { first: number; last: number };
  /** Root mean square over the vectors of a step's length. */
  length: { first: number; last: number };
  /** Most that a vector moves for a unit of weight; keeps a far-reaching beta from throwing vectors about. */
  reach: number;
}

const patient: Descent = {
  momentum: 0.9,
  beta: { first: 5, last: 500 },
  length: { first: 0.02, last: 0.0002 },
  reach: Infinity,
};
const hasty: Descent = {
  momentum: 0.5,
  beta: { first: 20, last: 200 },
  length: { first: 0.1, last: 0.001 },
  reach: 0.3,
};
/** Below this many steps the hasty descent ends lower. */
const patientFrom = 60;

/**
 * `classes` unit vectors in R^dim with a small largest cosine, by repulsion: [classes * dim], row-major.
 *
 * From seeded normal directions, each step moves every vector against the gradient of
 * (1/beta) log sum over pairs of exp(beta cos), a smooth bound of the largest cosine, with momentum, along the sphere.
 * beta grows over the steps, so that first all pairs are spread and then the closest, while the steps shrink. The best
 * configuration seen is kept.
 *
 * A step costs up to 3/2 classes^2 dim multiply-adds. The number of steps follows from a budget of work, never from
 * time, so the result depends on (classes, dim, seed) alone. Where even six steps are beyond 4e11 multiply-adds, the
 * normal directions are left as they are; `maxCosine` is then measured over as many of the vectors as 2e11
 * multiply-adds allow.
 *
 * `onProgress` is called with the share of the steps that are done.
 */
export function packing(
  classes: number,
  dim: number,
  seed: number,
  onProgress: (share: number) => void = () => {},
): { values: Float32Array; maxCosine: number } {
  const perStep = 1.5 * classes * classes * dim;
  const steps = Math.max(fewestSteps, Math.min(mostSteps, Math.floor(budget / perStep)));
  const repulsion = new Repulsion(classes, dim);
  const { vectors, stride } = repulsion;
  const random = randomStream(seed, 0x9ac);
  for (let start = 0; start < vectors.length; start += stride) {
    for (let at = start; at < start + dim; at++) vectors[at] = random.normal();
  }
  normaliseRows(vectors, stride);
  if (steps * perStep > largestBudget) {
    const measured = Math.min(classes, Math.floor(Math.sqrt((2 * measureBudget) / dim)));
    return { values: unpadded(vectors, stride, dim), maxCosine: repulsion.largestCosine(measured) };
  }

  const { beta, length, momentum, reach } = steps >= patientFrom ? patient : hasty;
  const velocity = new Float32Array(vectors.length);
  let best = { vectors: vectors.slice(), maxCosine: repulsion.largestCosine() };
  let reference = best.maxCosine;
  for (let step = 0; step < steps; step++) {
    const share = step / steps;
    const { maxCosine, meanWeight } = repulsion.repel(
      beta.first * (beta.last / beta.first) ** share,
      reference,
    );
    if (maxCosine < best.maxCosine) best = { vectors: vectors.slice(), maxCosine };
    reference = maxCosine;
    const size = tangential(repulsion.forces, vectors, stride);
    const wanted = length.first * (1 - share) + length.last;
    const scale = size > 0 ? Math.min(wanted / size, reach / meanWeight) : 0;
    move(vectors, velocity, repulsion.forces, { stride, scale, momentum });
    onProgress((step + 1) / steps);
  }
  const last = repulsion.largestCosine();
  if (last < best.maxCosine) best = { vectors: vectors.slice(), maxCosine: last };
  return { values: unpadded(best.vectors, stride, dim), maxCosine: best.maxCosine };
}

/** Removes from each force its part along the vector; returns the root mean square of the rest. */
function tangential(forces: Float32Array, vectors: Float32Array, stride: number): number {
  let squares = 0;
  for (let start = 0; start < vectors.length; start += stride) {
    const along = dot(forces, vectors, start, stride);
    for (let at = start; at < start + stride; at++) {
      const force = forces[at] - along * vectors[at];
      forces[at] = force;
      squares += force * force;
    }
  }
  return Math.sqrt((squares * stride) / vectors.length);
}

function move(
  vectors: Float32Array,
  velocity: Float32Array,
  forces: Float32Array,
  { stride, scale, momentum }: { stride: number; scale: number; momentum: number },
): void {
  for (let start = 0; start < vectors.length; start += stride) {
    for (let at = start; at < start + stride; at++)
      velocity[at] = momentum * velocity[at] - scale * forces[at];
    const along = dot(velocity, vectors, start, stride);
    for (let at = start; at < start + stride; at++) {
      velocity[at] -= along * vectors[at];
      vectors[at] += velocity[at];
    }
  }
  normaliseRows(vectors, stride);
}

function normaliseRows(vectors: Float32Array, stride: number): void {
  for (let start = 0; start < vectors.length; start += stride) {
    const length = Math.sqrt(dot(vectors, vectors, start, stride));
    for (let at = start; at < start + stride; at++) vectors[at] /= length;
  }
}

function dot(left: Float32Array, right: Float32Array, start: number, count: number): number {
  let sum = 0;
  for (let at = start; at < start + count; at++) sum += left[at] * right[at];
  return sum;
}

function unpadded(vectors: Float32Array, stride: number, dim: number): Float32Array {
  const count = vectors.length / stride;
  const values = new Float32Array(count * dim);
  for (let row = 0; row < count; row++) {
    values.set(vectors.subarray(row * stride, row * stride + dim), row * dim);
  }
  return values;
}
