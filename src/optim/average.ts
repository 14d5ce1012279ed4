import { z } from 'zod';

/** The exponential moving average of weights and statistics. */
export const averageSchema = z.strictObject({
  decay: z
    .number()
    .min(0)
    .lt(1)
    .optional()
    .describe(
      'share of the average that a step keeps, such as 0.999; default: no average of the weights is made',
    ),
  warmup: z
    .boolean()
    .default(true)
    .describe(
      'keep (1 + t)/(10 + t) in step t, while that is less: the average soon forgets the initial weights',
    ),
});

export type AverageConfig = z.output<typeof averageSchema>;

/** The weights that a model has: those that the last step has come to, or their moving average. */
export const weightsChoices = ['average', 'trained'] as const;
export type WeightsChoice = (typeof weightsChoices)[number];

/**
 * Share of the difference to the weights that their average takes in an update, counted from 1; undefined: there is no
 * average. The first update's weights are the first average.
 */
export function shareOfUpdate({ decay, warmup }: AverageConfig, update: number): number | undefined {
  if (decay === undefined) return undefined;
  if (update === 1) return 1;
  return 1 - (warmup ? Math.min(decay, (1 + update) / (10 + update)) : decay);
}
