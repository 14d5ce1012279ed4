import { z } from 'zod';
import { PodDistError } from '../util/errors.js';
import { amSoftmax } from './am-softmax.js';
import { arcFace } from './arcface.js';
import { dotRegression } from './dot-regression.js';
import type { LossKind } from './loss.js';
import { pedccLoss } from './pedcc-loss.js';
import { pod } from './pod.js';
import { softmax } from './softmax.js';

export { createClassWeights, type ClassWeights } from './class-weights.js';
export { cosineLogits } from './cosine-logits.js';
export { applyLoss } from './differentiable.js';
export type { Loss, LossContext, LossKind, LossValues, Shard } from './loss.js';
export { normSum } from './pod-delta.js';
export { localTerms } from './pod-terms.js';
export { normAdaptiveCosineLoss, podLoss, selfCorrelationLoss, type PodLossOptions } from './public.js';
export { throughNorm, unitRows } from './rows.js';
export { sourceTargets } from './targets.js';

/** Every loss. */
const kinds = [pod, softmax, amSoftmax, arcFace, pedccLoss, dotRegression] as const;

type SchemasOf<Kinds extends readonly { schema: unknown }[]> = {
  -readonly [Index in keyof Kinds]: Kinds[Index]['schema'];
};

function schemasOf<Kinds extends readonly { schema: unknown }[]>(kinds: Kinds): SchemasOf<Kinds> {
  return kinds.map(({ schema }) => schema) as SchemasOf<Kinds>;
}

export const lossSchema = z
  .discriminatedUnion('name', schemasOf(kinds))
  .describe(
    'pod, pedcc-loss and dot-regression have fixed centroids (PEDCC), the others class weights that are trained',
  );

export type LossConfig = z.output<typeof lossSchema>;

export const lossNames: readonly string[] = kinds.map(({ name }) => name);

/** The loss that a recipe names. */
export function lossOf({ name }: Pick<LossConfig, 'name'>): LossKind {
  const kind: LossKind | undefined = kinds.find((kind) => kind.name === name);
  if (!kind) throw new PodDistError('CONFIG_INVALID', `there is no loss ${name}`);
  return kind;
}
