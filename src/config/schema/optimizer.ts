import { z } from 'zod';
import { probability } from './primitives.js';

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
const momentum = probability.default(0.9);

/** Update rules; their defaults are PyTorch's, but for momentum. */
export const optimizerSchema = z.discriminatedUnion('name', [
  z.strictObject({
    name: z.literal('sgd').default('sgd'),
    momentum,
    nesterov: z.boolean().default(false),
    weightDecay: weightDecay(0),
    ...everyOptimizer,
  }),
  z.strictObject({
    name: z.literal('adamw'),
    betas: z
      .tuple([z.number().min(0).lt(1), z.number().min(0).lt(1)])
      .default([0.9, 0.999])
      .describe('decay rates of the mean and the mean square of the gradient'),
    epsilon: z.number().positive().default(1e-8),
    weightDecay: weightDecay(0.01),
    ...everyOptimizer,
  }),
  z.strictObject({
    name: z.literal('lars'),
    momentum,
    nesterov: z.boolean().default(false),
    trust: z
      .number()
      .positive()
      .default(0.001)
      .describe('eta: a step of a parameter is this share of its norm, times the learning rate'),
    weightDecay: weightDecay(0),
    ...everyOptimizer,
  }),
]);

export type OptimizerConfig = z.output<typeof optimizerSchema>;
