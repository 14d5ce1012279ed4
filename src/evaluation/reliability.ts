import type { Comparison, ScoreKind } from './comparison.js';
import type { Evaluation } from './schema.js';
import { areaUnderRoc, binOf } from './statistics.js';

const bins = 20;

/**
 * Measures how well the confidence in the assigned class says how often it is right.
 *
 * `error` is the expected calibration error (Guo et al. 2017): the images are put into bins, and |accuracy - confidence|
 * of the bins is averaged over the images. Softmax's confidence is the probability of the assigned class. Of cosines the
 * margin is taken, the best less the second best, which is no probability; it is read as the confidence (1 + margin) / 2: a
 * tie of two classes is even odds, a margin of 1 or more certainty.
 */
export function measureReliability(
  { labels, assigned, chosen, next }: Comparison,
  directed: readonly number[],
  scale: ScoreKind,
): Evaluation['reliability'] {
  const table = Array.from({ length: bins }, () => ({ images: 0, correct: 0, confidence: 0 }));
  const values: { right: number[]; wrong: number[] } = { right: [], wrong: [] };
  for (const image of directed) {
    const margin = Math.max(0, Math.min(1, chosen[image] - next[image]));
    const [value, confidence] =
      scale === 'probability' ? [chosen[image], chosen[image]] : [margin, (1 + margin) / 2];
    const right = assigned[image] === labels[image];
    const bin = table[binOf(value, 0, 1, bins)];
    bin.images++;
    bin.correct += right ? 1 : 0;
    bin.confidence += confidence;
    values[right ? 'right' : 'wrong'].push(value);
  }
  const gaps = table.reduce((sum, { correct, confidence }) => sum + Math.abs(correct - confidence), 0);
  return {
    error: directed.length > 0 ? gaps / directed.length : null,
    separation: areaUnderRoc(values.right, values.wrong),
    bins: table.map(({ images, correct, confidence }, index) => ({
      from: index / bins,
      to: (index + 1) / bins,
      images,
      correct,
      confidence: images > 0 ? confidence / images : null,
    })),
  };
}
