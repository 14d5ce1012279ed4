import { tf } from '../tf/deferred.js';
import type { Tensor, Tensor2D } from '../tf/index.js';

/** Rows of unit length (rows of norm 0 stay 0) and 1 / their norms, [rows, 1]. */
export interface UnitRows {
  unit: Tensor2D;
  inverseNorm: Tensor;
}

/** 1 / sqrt(squares), and 0 where they are 0. */
export function inverseRoot(squares: Tensor): Tensor {
  const positive = tf.greater(squares, 0);
  return tf.where(
    positive,
    tf.rsqrt(tf.where(positive, squares, tf.onesLike(squares))),
    tf.zerosLike(squares),
  );
}

/** The rows of [rows, d], scaled to unit length. */
export function unitRows(rows: Tensor2D): UnitRows {
  const inverseNorm = inverseRoot(tf.sum(tf.square(rows), 1, true));
  return { unit: tf.mul(rows, inverseNorm), inverseNorm };
}

/** The gradient with respect to rows, from the one with respect to their directions: (g - (g . u) u) / norm. */
export function throughNorm(gradient: Tensor, { unit, inverseNorm }: UnitRows): Tensor2D {
  const along = tf.sum(tf.mul(gradient, unit), 1, true);
  return tf.mul(tf.sub(gradient, tf.mul(unit, along)), inverseNorm);
}
