import * as tf from '../tf/index.js';
import { inverseRoot } from './terms.js';

/** What is done to the own class before cross-entropy. */
export type Margin =
  /** Logits are inner products plus a bias. */
  | { kind: 'none' }
  /** s (cos - m) on the own class, s cos on the others: AM-Softmax (arXiv 1801.05599), CosFace (arXiv 1801.09414). */
  | { kind: 'cosine'; scale: number; margin: number }
  /** s cos(theta + m) on the own class (ArcFace, arXiv 1801.07698). */
  | { kind: 'angle'; scale: number; margin: number };

export interface ClassificationInput {
  /** This rank's rows, [b, d]. */
  features: tf.Tensor2D;
  /** A row a class, [k, d]; need not be unit rows. */
  kernel: tf.Tensor2D;
  /** [k], where there is no margin. */
  bias?: tf.Tensor1D;
  /** Class of each row, [b]. */
  labels: tf.Tensor1D;
  margin: Margin;
}

/** Gradients of a sum over the local rows. */
export interface ClassificationGradients {
  features: tf.Tensor2D;
  kernel: tf.Tensor2D;
  /** [k] */
  bias: tf.Tensor1D;
}

/**
 * Cross-entropy of the local rows, summed, and its gradients: `softmax`, `am-softmax` and `arcface` are this one
 * function with another margin.
 *
 *     logits L       z W^T + bias, or s phi(c) on the own class and s c on the others, c = zhat What^T
 *     sum            over rows of log sum_j exp(L_j) - L_y
 *     dL             softmax(L) - onehot
 *     without margin dz = dL W             dW = dL^T z            dbias = sum over rows of dL
 *     with margin    dc = s dL (phi' on the own class)
 *                    dzhat = dc What       dWhat = dc^T zhat      then through the norms, as in `throughNorm`
 *
 * phi(c) = c - m, or cos(theta + m) = c cos m - sqrt(1 - c^2) sin m with phi' = cos m + c sin m / sqrt(1 - c^2). Past
 * theta = pi - m, where cos(theta + m) would rise again, ArcFace goes on with phi(c) = c - m sin m. Vectors of norm 0
 * have cosine 0 to everything and gradient 0. A sum over rows adds up over ranks, so nothing else is reduced.
 */
export function classification(input: ClassificationInput): {
  sum: tf.Scalar;
  gradients(): ClassificationGradients;
} {
  return input.margin.kind === 'none' ? plain(input) : withMargin(input, input.margin);
}

function plain({ features, kernel, bias, labels }: ClassificationInput) {
  const own = oneHot(labels, kernel.shape[0]);
  const products = tf.matMul(features, kernel, false, true);
  const logits = (bias ? tf.add(products, bias) : products) as tf.Tensor2D;
  return {
    sum: crossEntropy(logits, own),
    gradients: () => {
      const slope = tf.sub(tf.softmax(logits), own) as tf.Tensor2D;
      return {
        features: tf.matMul(slope, kernel) as tf.Tensor2D,
        kernel: tf.matMul(slope, features, true, false) as tf.Tensor2D,
        bias: tf.sum<tf.Tensor1D>(slope, 0),
      };
    },
  };
}

function withMargin(
  { features, kernel, labels }: ClassificationInput,
  margin: Exclude<Margin, { kind: 'none' }>,
) {
  const own = oneHot(labels, kernel.shape[0]);
  const z = unitRows(features);
  const w = unitRows(kernel);
  const cosines = tf.matMul(z.unit, w.unit, false, true);
  const ownCosine = tf.sum(tf.mul(cosines, own), 1, true);
  const { value, slope } = marginOf(ownCosine, margin);
  const logits: tf.Tensor2D = tf.mul(tf.add(cosines, tf.mul(own, tf.sub(value, ownCosine))), margin.scale);
  return {
    sum: crossEntropy(logits, own),
    gradients: () => {
      const logitSlope = tf.sub(tf.softmax(logits), own);
      const ownSlope = tf.add(1, tf.mul(own, tf.sub(slope, 1)));
      const cosineSlope: tf.Tensor2D = tf.mul(tf.mul(logitSlope, ownSlope), margin.scale);
      return {
        features: throughNorm(tf.matMul(cosineSlope, w.unit), z),
        kernel: throughNorm(tf.matMul(cosineSlope, z.unit, true, false), w),
        bias: tf.zeros<tf.Rank.R1>([kernel.shape[0]]),
      };
    },
  };
}

/** phi and phi' at the cosines to the own class, [b, 1]. */
function marginOf(cosine: tf.Tensor, { kind, margin }: Exclude<Margin, { kind: 'none' }>) {
  if (kind === 'cosine') return { value: tf.sub(cosine, margin), slope: tf.onesLike(cosine) };
  const sine = tf.sqrt(tf.maximum(tf.sub(1, tf.square(cosine)), 1e-12));
  const inside = tf.greater(cosine, Math.cos(Math.PI - margin));
  const turned = tf.sub(tf.mul(cosine, Math.cos(margin)), tf.mul(sine, Math.sin(margin)));
  const turnedSlope = tf.add(Math.cos(margin), tf.mul(tf.div(cosine, sine), Math.sin(margin)));
  return {
    value: tf.where(inside, turned, tf.sub(cosine, margin * Math.sin(margin))),
    slope: tf.where(inside, turnedSlope, tf.onesLike(cosine)),
  };
}

/** Rows of unit length (rows of norm 0 stay 0) and 1 / their norms, [rows, 1]. */
export interface UnitRows {
  unit: tf.Tensor2D;
  inverseNorm: tf.Tensor;
}

/** The rows of [rows, d], scaled to unit length. */
export function unitRows(rows: tf.Tensor2D): UnitRows {
  const inverseNorm = inverseRoot(tf.sum(tf.square(rows), 1, true));
  return { unit: tf.mul(rows, inverseNorm), inverseNorm };
}

/** The gradient with respect to rows, from the one with respect to their directions: (g - (g . u) u) / norm. */
export function throughNorm(gradient: tf.Tensor, { unit, inverseNorm }: UnitRows): tf.Tensor2D {
  const along = tf.sum(tf.mul(gradient, unit), 1, true);
  return tf.mul(tf.sub(gradient, tf.mul(unit, along)), inverseNorm);
}

function crossEntropy(logits: tf.Tensor2D, own: tf.Tensor2D): tf.Scalar {
  return tf.sum(tf.sub(tf.logSumExp(logits, 1), tf.sum(tf.mul(logits, own), 1)));
}

function oneHot(labels: tf.Tensor1D, classes: number): tf.Tensor2D {
  return tf.cast<tf.Tensor2D>(tf.oneHot(labels, classes) as tf.Tensor2D, 'float32');
}
