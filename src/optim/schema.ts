import { z } from 'zod';
import { probability } from '../util/bounds.js';

const everyOptimizer = {
  skipDecay: z
    .boolean()
    .default(false)
    .describe('no weight decay for biases and batch norm: parameters of fewer than 2 dimensions'),
  clipNorm: z
    .number()
    .positive()
    .optional()
    .describe('longest gradient of all parameters together; a longer one is scaled down to it'),
};
const weightDecay = (standard: number) => z.number().min(0).default(standard);
const addedDecay = weightDecay(0).describe('this share of each weight is added to its gradient');
const momentum = probability.default(0.9).describe('share of the last step that goes into the next');
const nesterov = z.boolean().default(false).describe('look ahead by the momentum');

/** Update rules; their defaults are PyTorch's, but for momentum. */
export const optimizerSchema = z
  .discriminatedUnion('name', [
    z.strictObject({
      name: z.literal('sgd').default('sgd'),
      momentum,
      nesterov,
      weightDecay: addedDecay,
      ...everyOptimizer,
    }),
    z.strictObject({
      name: z.literal('adamw'),
      betas: z
        .tuple([z.number().min(0).lt(1), z.number().min(0).lt(1)])
        .default([0.9, 0.999])
        .describe('decay rates of the mean and the mean square of the gradient'),
      epsilon: z.number().positive().default(1e-8).describe('added to the root of the mean square'),
      weightDecay: weightDecay(0.01).describe(
        'this share of each weight, times the learning rate, is taken from it in a step',
      ),
      ...everyOptimizer,
    }),
    z.strictObject({
      name: z.literal('lars'),
      momentum,
      nesterov,
      trust: z
        .number()
        .positive()
        .default(0.001)
        .describe('eta: a step of a parameter is this share of its norm, times the learning rate'),
      weightDecay: addedDecay,
      ...everyOptimizer,
    }),
  ])
  .describe('update rule');

export type OptimizerConfig = z.output<typeof optimizerSchema>;
