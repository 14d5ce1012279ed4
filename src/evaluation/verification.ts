import { areaUnderRoc } from './statistics.js';

/** False acceptance rates at which the share of true ones is told. */
const rates = [1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6];
/** Points of the ROC curve, at most. */
const mostPoints = 200;

/** How well a threshold on a score tells pairs of one class from pairs of two. */
export interface Verification {
  pairs: number;
  same: number;
  /** Mean over the folds of the accuracy at the threshold that is best for the others. */
  accuracy: number;
  /** Standard error of that mean. */
  accuracyError: number;
  /** Accuracy of each fold. */
  folds: number[];
  /** The threshold that is best for all pairs, and its accuracy. */
  best: { threshold: number; accuracy: number };
  auroc: number | null;
  /** Rate at which pairs of one class are accepted and pairs of two are. */
  equalErrorRate: number | null;
  /** The largest share of pairs of one class (TAR) accepted where at most `far` of the pairs of two are. */
  tar: { far: number; tar: number | null; threshold: number | null }[];
  /** [share of pairs of two classes accepted, share of pairs of one], over falling thresholds. */
  roc: [far: number, tar: number][];
}

interface Scored {
  score: number;
  same: boolean;
}

/**
 * Judges scores of pairs as LFW's protocol does: pairs in order are cut into `folds` parts; each is judged by the threshold that
 * is best for all others. Equal scores are accepted together. A rate below one pair of two classes in their number is not told
 * (null), since nothing has been measured there.
 */
export function verify(scores: readonly number[], same: readonly boolean[], folds: number): Verification {
  const all = scores.map((score, pair): Scored => ({ score, same: same[pair] }));
  const cuts = Array.from({ length: folds + 1 }, (_, fold) => Math.round((fold * all.length) / folds));
  const accuracies = Array.from({ length: folds }, (_, fold) => {
    const [start, end] = [cuts[fold], cuts[fold + 1]];
    const { threshold } = bestThreshold([...all.slice(0, start), ...all.slice(end)]);
    return accuracyAt(all.slice(start, end), threshold);
  });
  const mean = accuracies.reduce((sum, value) => sum + value, 0) / folds;
  const squares = accuracies.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const [positive, negative] = [true, false].map((wanted) =>
    all.filter((pair) => pair.same === wanted).map(({ score }) => score),
  );
  const curve = rocOf(all, positive.length, negative.length);
  return {
    pairs: all.length,
    same: positive.length,
    accuracy: mean,
    accuracyError: Math.sqrt(squares / (folds - 1) / folds),
    folds: accuracies,
    best: bestThreshold(all),
    auroc: areaUnderRoc(positive, negative),
    equalErrorRate: curve.length > 0 ? equalError(curve) : null,
    tar: rates.map((far) => {
      if (curve.length === 0 || far * negative.length < 1) return { far, tar: null, threshold: null };
      const at = curve.findLast((point) => point.far <= far);
      return { far, tar: at?.tar ?? 0, threshold: at?.threshold ?? null };
    }),
    roc: thinned(curve).map(({ far, tar }) => [far, tar]),
  };
}

function accuracyAt(pairs: readonly Scored[], threshold: number): number {
  return pairs.filter(({ score, same }) => score >= threshold === same).length / pairs.length;
}

/** Of thresholds halfway between neighbouring scores, the one that judges most pairs right; the largest of equal ones. */
function bestThreshold(pairs: readonly Scored[]): { threshold: number; accuracy: number } {
  const sorted = pairs.toSorted((a, b) => b.score - a.score);
  let right = sorted.filter(({ same }) => !same).length;
  let best = { threshold: Infinity, right };
  sorted.forEach(({ score, same }, index) => {
    right += same ? 1 : -1;
    const next = sorted[index + 1]?.score;
    if (next !== score && right > best.right)
      best = { threshold: next === undefined ? score : (score + next) / 2, right };
  });
  return { threshold: best.threshold, accuracy: best.right / pairs.length };
}

interface RocPoint {
  threshold: number;
  far: number;
  tar: number;
}

function rocOf(pairs: readonly Scored[], positive: number, negative: number): RocPoint[] {
  if (positive === 0 || negative === 0) return [];
  const sorted = pairs.toSorted((a, b) => b.score - a.score);
  const points: RocPoint[] = [{ threshold: Infinity, far: 0, tar: 0 }];
  let [accepted, falsely] = [0, 0];
  sorted.forEach(({ score, same }, index) => {
    if (same) accepted++;
    else falsely++;
    if (sorted[index + 1]?.score !== score)
      points.push({ threshold: score, far: falsely / negative, tar: accepted / positive });
  });
  return points;
}

/** Where the curve meets 1 - TAR = FAR, between its points. */
function equalError(curve: readonly RocPoint[]): number {
  const after = curve.findIndex(({ far, tar }) => far >= 1 - tar);
  const [low, high] = [curve[after - 1], curve[after]];
  const gap = ({ far, tar }: RocPoint) => 1 - tar - far;
  const share = gap(low) / (gap(low) - gap(high));
  return low.far + share * (high.far - low.far);
}

function thinned(curve: readonly RocPoint[]): readonly RocPoint[] {
  if (curve.length <= mostPoints) return curve;
  const step = (curve.length - 1) / (mostPoints - 1);
  return Array.from({ length: mostPoints }, (_, index) => curve[Math.round(index * step)]);
}
