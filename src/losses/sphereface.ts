import { tf } from '../tf/deferred.js';
import type { Tensor, Tensor2D } from '../tf/index.js';
import { z } from 'zod';
import { crossEntropy, crossEntropySlope, oneHot } from './cross-entropy.js';
import { defineLoss } from './loss.js';
import type { Margin } from './margin-softmax.js';
import { meanOverImages, type RowTerms } from './mean-over-images.js';
import { throughNorm, unitRows } from './rows.js';

/**
 * SphereFace's A-Softmax (arXiv 1704.08063) and, with class weights that keep their lengths, L-Softmax (arXiv 1612.02295): the
 * angle to the own class is multiplied by m; the mean over the images of all ranks, on class weights that are trained.
 *
 *     psi(theta)  (-1)^q cos(m theta) - 2 q  for theta from q pi / m to (q + 1) pi / m, which falls all the way
 *     g(c)        (blend c + psi) / (1 + blend) for the own class, c for the others, c = zhat . What
 *     logits L    |z| g(c), times |W| with lengths kept
 *
 * The published code lowers `blend` from 1,500 to 5 while it trains; here it stays.
 */
export const sphereFace = defineLoss({
  name: 'sphereface',
  schema: z.strictObject({
    name: z.literal('sphereface'),
    multiple: z.int().min(1).max(4).default(4).describe('m: the angle to the own class is multiplied by it'),
    blend: z.number().min(0).default(5).describe('weight of the plain cosine beside the one with the margin'),
    normalise: z
      .boolean()
      .default(true)
      .describe(
        'class weights count as unit vectors (SphereFace); false: they keep their lengths (L-Softmax)',
      ),
  }),
  classWeights: { bias: false },
  graphs: true,
  mixed: true,
  create: ({ normalise, ...settings }, { communicator }) =>
    meanOverImages(communicator, (features, labels, [rows]) =>
      multipliedAngleTerms(features, labels, rows as Tensor2D, {
        normalise,
        margin: multipliedAngle(settings),
      }),
    ),
});

/** g of the own class. cos(m theta) is Chebyshev's polynomial T_m of the cosine, with derivative m U_(m-1). */
export function multipliedAngle({ multiple, blend }: { multiple: number; blend: number }): Margin {
  return (cosine) => {
    const twice = tf.mul(cosine, 2);
    const one = tf.onesLike(cosine);
    const first = [one, cosine];
    const second = [one, twice];
    for (let order = 2; order <= multiple; order++) {
      first.push(tf.sub(tf.mul(twice, first[order - 1]), first[order - 2]));
      second.push(tf.sub(tf.mul(twice, second[order - 1]), second[order - 2]));
    }
    let turns: Tensor = tf.zerosLike(cosine);
    for (let q = 1; q < multiple; q++)
      turns = tf.add(turns, tf.cast(tf.less(cosine, Math.cos((q * Math.PI) / multiple)), 'float32'));
    const sign = tf.sub(1, tf.mul(2, tf.mod(turns, 2)));
    const psi = tf.sub(tf.mul(sign, first[multiple]), tf.mul(2, turns));
    const slope = tf.mul(tf.mul(sign, second[multiple - 1]), multiple);
    return {
      value: tf.div(tf.add(tf.mul(cosine, blend), psi), 1 + blend),
      slope: tf.div(tf.add(slope, blend), 1 + blend),
    };
  };
}

/**
 * Cross-entropy of logits s |z| g(c), summed over the rows, s being 1 or the length of the class's row. With e = dL s:
 *
 *     dz     sum_j e_j (g_j zhat + g'_j (What_j - c_j zhat))
 *     dWhat  sum_i e_i |z_i| g'_i zhat_i through the norm, and along What_j: sum_i dL_i |z_i| g_i, with lengths kept
 */
export function multipliedAngleTerms(
  features: Tensor2D,
  labels: Int32Array,
  classRows: Tensor2D,
  { normalise, margin }: { normalise: boolean; margin: Margin },
): RowTerms {
  const own = oneHot(labels, classRows.shape[0]);
  const rows = unitRows(features);
  const classes = unitRows(classRows);
  const norms = tf.norm(features, 2, 1, true);
  const lengths = tf.transpose(tf.norm(classRows, 2, 1, true));
  const cosines = tf.matMul(rows.unit, classes.unit, false, true);
  const { value, slope } = margin(tf.sum(tf.mul(cosines, own), 1, true));
  const bent = tf.add(tf.mul(cosines, tf.sub(1, own)), tf.mul(own, value));
  const scaled: Tensor2D = tf.mul(bent, norms);
  const logits: Tensor2D = normalise ? scaled : tf.mul(scaled, lengths);
  return {
    sum: crossEntropy(logits, own),
    gradients: () => {
      const plain = crossEntropySlope(logits, own);
      const outer = normalise ? plain : tf.mul(plain, lengths);
      const turning: Tensor2D = tf.mul(outer, tf.add(1, tf.mul(own, tf.sub(slope, 1))));
      const along = tf.sum(tf.sub(tf.mul(outer, bent), tf.mul(turning, cosines)), 1, true);
      const ofFeatures = tf.add(tf.matMul(turning, classes.unit), tf.mul(rows.unit, along));
      const turned = tf.matMul<Tensor2D>(tf.mul(turning, norms), rows.unit, true, false);
      const ofClasses = throughNorm(turned, classes);
      if (normalise) return [ofFeatures, ofClasses];
      const stretch = tf.transpose(tf.sum(tf.mul(plain, scaled), 0, true));
      return [ofFeatures, tf.add(ofClasses, tf.mul(classes.unit, stretch))];
    },
  };
}
