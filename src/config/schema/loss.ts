import { z } from 'zod';

const deltaSchema = z.strictObject({
  schedule: z
    .enum(['norm', 'fixed'])
    .default('norm')
    .describe('norm: grows with the epochs and the norms seen; fixed: stays at initial'),
  initial: z.number().min(0).default(0.05).describe('delta of the first epoch'),
  scale: z.number().min(0).default(0.01).describe('delta after epoch e is scale * (e + 1) * mean norm'),
  source: z.enum(['logits', 'features']).default('logits').describe('whose mean norm'),
});

const scale = z.number().positive().describe('s: cosines are multiplied by it');

export const lossSchema = z
  .discriminatedUnion('name', [
    z.strictObject({
      name: z.literal('pod').default('pod'),
      lambda: z.number().min(0).default(1).describe('weight of the self-correlation loss'),
      sc: z
        .enum(['global', 'local', 'off'])
        .default('global')
        .describe('self-correlation over all workers, over each shard alone (workers then matter), or none'),
      delta: deltaSchema.prefault({}),
    }),
    z.strictObject({ name: z.literal('softmax') }),
    z.strictObject({
      name: z.literal('am-softmax'),
      scale: scale.default(30),
      margin: z.number().min(0).default(0.35).describe('m: taken from the cosine of the own class'),
    }),
    z.strictObject({
      name: z.literal('arcface'),
      scale: scale.default(64),
      margin: z
        .number()
        .min(0)
        .max(3)
        .default(0.5)
        .describe('m: added to the angle to the own class, radians'),
    }),
    z.strictObject({
      name: z.literal('pedcc-loss'),
      scale: scale.default(15),
      margin: z.number().min(0).default(0.5).describe('m: taken from the cosine of the own class'),
      power: z.number().positive().default(1).describe('n: the mean squared error is raised to it'),
    }),
    z.strictObject({ name: z.literal('dot-regression') }),
  ])
  .describe(
    'pod, pedcc-loss and dot-regression have fixed centroids (PEDCC), the others class weights that are trained',
  );

export type LossConfig = z.output<typeof lossSchema>;
