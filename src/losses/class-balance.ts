import { z } from 'zod';
import { fromHost } from '../backend/host-values.js';
import type { Tensor } from '../tf/index.js';
import type { LossContext } from './loss.js';

/** The setting of losses that weigh images by their class. */
export const balanceSetting = {
  balance: z
    .number()
    .min(0)
    .max(1)
    .default(0)
    .describe('for long tails: an image weighs n^-balance, n the training images of its class, 1 on average'),
};

/**
 * The weights [b, 1] of images of these classes; undefined where all weigh 1. With n_c training images of class c they are
 * proportional to n_c^-balance, and their mean over the training images is 1: with 1 all classes weigh alike.
 */
export function classBalance(
  { balance }: { balance: number },
  { images }: Pick<LossContext, 'images'>,
): (labels: Int32Array) => Tensor | undefined {
  if (balance === 0 || images === undefined) return () => undefined;
  const raw = images.map((count) => (count > 0 ? count ** -balance : 0));
  const mean = raw.reduce((sum, weight, label) => sum + weight * images[label], 0);
  const all = images.reduce((sum, count) => sum + count, 0);
  const weights = Float32Array.from(raw, (weight) => (weight * all) / mean);
  return (labels) =>
    fromHost(() => ({
      values: Float32Array.from(labels, (label) => weights[label]),
      shape: [labels.length, 1],
    }));
}
