import * as tf from '../tf/index.js';
import { Best } from './best.js';
import type { ClassWeights } from '../losses/index.js';
import { addLogarithms } from './logarithms.js';
import type { Mistake } from './mistakes.js';
import { beyondPlaces, placesOf } from './places.js';
import type { ClassBlock, ClassVectors } from '../classifier/class-vectors.js';

/** The features of a batch compared with all classes; one entry an image in each array. */
export interface Comparison {
  labels: Int32Array;
  /** The class of the largest score; `classes` for features without a direction. */
  assigned: Int32Array;
  /** Classes that score higher than the own one; `beyondPlaces` where it is not among the first `places`. */
  place: Uint8Array;
  /** Length of the features. */
  norm: Float32Array;
  /** Cosine to the own class. */
  own: Float32Array;
  /** Largest cosine to another class than the own one. */
  other: Float32Array;
  /** Cosine to the assigned class; for plain softmax its probability. */
  chosen: Float32Array;
  /** Largest cosine to another class than the assigned one; for plain softmax the second largest probability. */
  next: Float32Array;
}

/** Called with an image of a batch that is assigned to a wrong class, and its nearest classes. */
export type OnWrong = (row: number, nearest: Mistake['nearest']) => void;

/** Scale of `chosen` and `next`. */
export type ScoreKind = 'cosine' | 'probability';

/** Probabilities for softmax, whose classes have a bias; cosines for every other loss. */
export function scoreKindOf(weights: ClassWeights | undefined): ScoreKind {
  return weights?.bias ? 'probability' : 'cosine';
}

/**
 * Compares features [b, d] with every class.
 *
 * An image belongs to the class whose vector has the largest cosine with its features (or, for plain softmax, to the
 * class of the largest logit). All class vectors are unit vectors, so the largest inner product has the largest cosine;
 * of equal ones the first class counts. Features of norm 0, or not finite, have no direction: they belong to no class
 * and have cosine -1 to all. Classes are gone through in blocks, so that no more than [b, classes of a block] products
 * are there at a time, and of each image only the best few are kept: `onWrong` is told them of the images that are wrong.
 */
export function compare(
  features: tf.Tensor2D,
  labels: Int32Array,
  vectors: ClassVectors,
  onWrong?: OnWrong,
): Comparison {
  const rows = labels.length;
  const byScore = new Best(rows, Math.max(placesOf(vectors.classes), 2));
  const byInner = new Best(rows, 2);
  const own = new Float32Array(rows);
  const logSums = new Float64Array(rows).fill(-Infinity);
  let logits = false;
  vectors.forEachBlock((block) => {
    const { scores, inner, sums } = products(features, block);
    logits = sums !== undefined;
    sums?.forEach((sum, row) => (logSums[row] = addLogarithms(logSums[row], sum)));
    const size = block.directions.shape[0];
    byScore.add(block.start, size, scores, inner);
    if (logits) byInner.add(block.start, size, inner, inner);
    for (let row = 0; row < rows; row++) {
      const column = labels[row] - block.start;
      if (column >= 0 && column < size) own[row] = inner[row * size + column];
    }
  });
  const found = { vectors, features, labels, own, byScore, onWrong };
  return describe(logits ? { ...found, byInner, logSums } : { ...found, byInner: byScore });
}

function products(features: tf.Tensor2D, { directions, kernel, bias }: ClassBlock) {
  return tf.tidy(() => {
    const inner = tf.matMul(features, directions, false, true).dataSync<'float32'>();
    if (!kernel) return { scores: inner, inner, sums: undefined };
    const products = tf.matMul(features, kernel, false, true);
    const logits = bias ? tf.add<tf.Tensor2D>(products, bias) : products;
    const sums = tf.logSumExp(logits, 1).dataSync<'float32'>();
    return { scores: logits.dataSync<'float32'>(), inner, sums };
  });
}

interface Found {
  vectors: ClassVectors;
  features: tf.Tensor2D;
  labels: Int32Array;
  /** Inner products with the own class. */
  own: Float32Array;
  byScore: Best;
  byInner: Best;
  /** log of the sum of exp(logit) over all classes, of each row, where classes are chosen by logits. */
  logSums?: Float64Array;
  onWrong?: OnWrong;
}

function describe(found: Found): Comparison {
  const { vectors, features, labels, own, byScore, byInner, logSums, onWrong } = found;
  const { classes } = vectors;
  const rows = labels.length;
  const norm = norms(features);
  const column = () => new Float32Array(rows).fill(-1);
  const result: Comparison = {
    labels,
    assigned: new Int32Array(rows).fill(classes),
    place: new Uint8Array(rows).fill(beyondPlaces),
    norm,
    own: column(),
    other: column(),
    chosen: column(),
    next: column(),
  };
  for (let row = 0; row < rows; row++) {
    if (!(norm[row] > 0 && Number.isFinite(norm[row]))) continue;
    const place = byScore.placeOf(row, labels[row], placesOf(classes));
    const cosine = (inner: number) => Math.max(-1, Math.min(1, inner / norm[row]));
    result.assigned[row] = byScore.classAt(row, 0);
    if (place >= 0) result.place[row] = place;
    result.own[row] = cosine(own[row]);
    result.other[row] = cosine(byInner.bestBut(row, labels[row]));
    const score = (place: number) =>
      logSums
        ? Math.min(1, Math.exp(byScore.scoreAt(row, place) - logSums[row]))
        : cosine(byScore.innerAt(row, place));
    result.chosen[row] = score(0);
    result.next[row] = score(1);
    if (onWrong && result.assigned[row] !== labels[row]) {
      const places = Array.from({ length: placesOf(classes) }, (_, place) => place);
      onWrong(
        row,
        places.map((place) => ({ label: byScore.classAt(row, place), score: score(place) })),
      );
    }
  }
  return result;
}

/** Length of each row, summed in double precision. */
function norms(features: tf.Tensor2D): Float32Array {
  const [rows, dim] = features.shape;
  const values = features.dataSync<'float32'>();
  const norm = new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    let squares = 0;
    for (let index = row * dim; index < (row + 1) * dim; index++) squares += values[index] ** 2;
    norm[row] = Math.sqrt(squares);
  }
  return norm;
}
