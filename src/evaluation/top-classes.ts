import * as tf from '../tf/index.js';
import type { ClassVectors } from '../classifier/class-vectors.js';
import { addLogarithms } from './logarithms.js';

/** One class, and how well an image fits it. */
export interface ClassScore {
  /** Position among the classes. */
  index: number;
  /** Cosine between features and the class's vector, or the softmax probability. */
  score: number;
}

/** The classes that fit best, the best first; none where the features have no direction (norm 0, or not finite). */
export type TopClasses = ClassScore[];

/**
 * The `count` best classes of each row of features [b, d]: of the largest cosines, or, for plain softmax, of the
 * largest probabilities exp(L_j) / sum over all classes of exp(L).
 *
 * Classes are gone through in blocks: each gives its own best `count`, of which the best so far are kept, and adds to
 * the sum of exponentials. Of equal scores the first class is the better one, as in `compare`.
 */
export function topClasses(vectors: ClassVectors, features: tf.Tensor2D, count: number): TopClasses[] {
  const norms = tf.tidy(() => tf.norm(features, 2, 1).dataSync<'float32'>().slice());
  const best: TopClasses[] = Array.from(norms, () => []);
  const logSums = new Float64Array(norms.length).fill(-Infinity);
  let probabilities = false;
  vectors.forEachBlock(({ start, directions, kernel, bias }) => {
    probabilities = kernel !== undefined;
    const kept = Math.min(count, directions.shape[0]);
    const { values, indices, sums } = tf.tidy(() => {
      const products = tf.matMul(features, kernel ?? directions, false, true);
      const scores = bias ? tf.add(products, bias) : products;
      const top = tf.topk(scores, kept);
      return {
        values: top.values.dataSync<'float32'>().slice(),
        indices: top.indices.dataSync<'int32'>().slice(),
        sums: probabilities ? tf.logSumExp(scores, 1).dataSync<'float32'>().slice() : undefined,
      };
    });
    best.forEach((row, at) => {
      for (let rank = at * kept; rank < (at + 1) * kept; rank++) {
        row.push({ index: start + indices[rank], score: values[rank] });
      }
      row.sort((a, b) => b.score - a.score || a.index - b.index);
      row.length = Math.min(row.length, count);
      if (sums) logSums[at] = addLogarithms(logSums[at], sums[at]);
    });
  });
  return best.map((row, at) => {
    const norm = norms[at];
    if (!(norm > 0 && Number.isFinite(norm))) return [];
    const scale = (score: number) => (probabilities ? Math.exp(score - logSums[at]) : score / norm);
    return row.map(({ index, score }) => ({ index, score: scale(score) }));
  });
}
