import { tf } from '../tf/deferred.js';
import type { Scalar, Tensor, Tensor2D } from '../tf/index.js';
import { inverseRoot, throughNorm } from './rows.js';

/** Contribution of one rank's rows to the loss of the global batch. */
export interface LocalTerms {
  /** Sum over the rows of (1 - adaptive cosine to the own centroid)^2. */
  nacSum: Scalar;
  /** u = z/|z| - W_y, [b, d]; a row of norm 0 gives -W_y. */
  residuals: Tensor2D;
}

/** Rows of features seen from their own centroids; inverses of zero are zero, so that nothing becomes NaN. */
interface Rows {
  /** z . W_y, [b, 1] */
  inner: Tensor;
  /** 1 / |z|, [b, 1] */
  inverseNorm: Tensor;
  /** 1 / sqrt(|z|^2 + delta^2), [b, 1] */
  inverseAdaptive: Tensor;
}

function rows(features: Tensor2D, own: Tensor2D, deltaSquared: number | Scalar): Rows {
  const squares = tf.sum(tf.square(features), 1, true);
  return {
    inner: tf.sum(tf.mul(features, own), 1, true),
    inverseNorm: inverseRoot(squares),
    inverseAdaptive: inverseRoot(tf.add(squares, deltaSquared)),
  };
}

/**
 * The local part of POD Loss (arXiv 2111.15449, equations 4 and 7), before anything is reduced over ranks.
 *
 * `features` [b, d], `own` [b, d]: the centroid of each row's class.
 */
export function localTerms(features: Tensor2D, own: Tensor2D, deltaSquared: number | Scalar): LocalTerms {
  const { inner, inverseNorm, inverseAdaptive } = rows(features, own, deltaSquared);
  return {
    nacSum: tf.sum(tf.square(tf.sub(1, tf.mul(inner, inverseAdaptive)))) as Scalar,
    residuals: tf.sub(tf.mul(features, inverseNorm), own) as Tensor2D,
  };
}

/** SC = (sum over i != j of C_ij^2) / (d - 1) of a correlation matrix [d, d]. */
export function selfCorrelationValue(correlation: Tensor2D, dim: number): Scalar {
  return tf.div(tf.sum(tf.square(offDiagonal(correlation))), Math.max(dim - 1, 1)) as Scalar;
}

export interface GlobalGradientOptions {
  /** This rank's rows, [b, d]. */
  features: Tensor2D;
  /** Centroid of each row's class, [b, d]. */
  own: Tensor2D;
  deltaSquared: number | Scalar;
  /** Rows of all ranks together. */
  batch: number;
  /** Weight of NAC. */
  nacWeight?: 0 | 1;
  /** Weight of SC. */
  lambda: number;
  /** C = sum over rows of u u^T / (rows - 1), [d, d]; left out where SC is 0. */
  correlation?: Tensor2D;
  /** Rows that C was taken over; default: all of `batch`. */
  correlationRows?: number;
}

/**
 * Gradient of the global loss NAC + lambda SC with respect to this rank's features, [b, d].
 *
 *     NAC   with s = sqrt(|z|^2 + delta^2), c = z . W_y / s:   -2 (1 - c) (W_y - c z / s) / (s batch)
 *     SC    through u:   g = 4 offdiag(C) u / ((d - 1) (batch - 1))
 *           through z:   (g - (g . zhat) zhat) / |z|,  zhat = z/|z|
 *
 * It needs nothing of the other ranks but C and the batch size. Rows of norm 0 get SC's gradient 0.
 */
export function globalGradient(options: GlobalGradientOptions): Tensor2D {
  const {
    features,
    own,
    deltaSquared,
    batch,
    nacWeight = 1,
    lambda,
    correlation,
    correlationRows = batch,
  } = options;
  const { inner, inverseNorm, inverseAdaptive } = rows(features, own, deltaSquared);
  const nac = () => {
    const cosine = tf.mul(inner, inverseAdaptive);
    const direction = tf.sub(own, tf.mul(features, tf.mul(cosine, inverseAdaptive)));
    const factor = tf.mul(tf.mul(tf.sub(1, cosine), inverseAdaptive), -2 / batch);
    return tf.mul<Tensor2D>(direction, factor);
  };
  const sc = (correlation: Tensor2D) => {
    const unit: Tensor2D = tf.mul(features, inverseNorm);
    const dim = features.shape[1];
    const factor = (4 * lambda) / (Math.max(dim - 1, 1) * Math.max(correlationRows - 1, 1));
    const residuals: Tensor2D = tf.sub(unit, own);
    const pull = tf.mul(tf.matMul(residuals, offDiagonal(correlation)), factor);
    return throughNorm(pull, { unit, inverseNorm });
  };
  const hasSc = correlation && lambda !== 0;
  if (nacWeight === 0) return hasSc ? sc(correlation) : tf.zerosLike(features);
  return hasSc ? tf.add(nac(), sc(correlation)) : nac();
}

function offDiagonal(matrix: Tensor2D): Tensor2D {
  return tf.mul(matrix, tf.sub(1, tf.eye(matrix.shape[0])));
}
