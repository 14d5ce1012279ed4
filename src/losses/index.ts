import type { z } from 'zod';
import { PodDistError } from '../util/errors.js';
import { isFunction, Registry } from '../util/registry.js';
import { amSoftmax } from './am-softmax.js';
import { arcFace } from './arcface.js';
import { centerLoss } from './center-loss.js';
import { centroidSoftmax } from './centroid-softmax.js';
import { cot } from './cot.js';
import { dotRegression } from './dot-regression.js';
import type { LossKind } from './loss.js';
import { pedccLoss } from './pedcc-loss.js';
import { pod } from './pod.js';
import { sphereFace } from './sphereface.js';
import { softmax } from './softmax.js';

export { classVariables, createClassWeights, type ClassWeights } from './class-weights.js';
export { cosineLogits } from './cosine-logits.js';
export { applyLoss } from './differentiable.js';
export type { Computed, Loss, LossContext, LossKind, LossState, LossValues, Shard, Targets } from './loss.js';
export { meanOverImages, type RowTerms } from './mean-over-images.js';
export { normSum } from './pod-delta.js';
export { localTerms } from './pod-terms.js';
export { normAdaptiveCosineLoss, podLoss, selfCorrelationLoss, type PodLossOptions } from './public.js';
export { throughNorm, unitRows } from './rows.js';
export { sourceTargets } from './targets.js';

const builtIn = [
  pod,
  softmax,
  amSoftmax,
  arcFace,
  sphereFace,
  centerLoss,
  cot,
  pedccLoss,
  centroidSoftmax,
  dotRegression,
] as const;

/** Every loss. */
export const losses = new Registry<LossKind, typeof builtIn>({
  what: 'loss',
  description:
    'pod, pedcc-loss, centroid-softmax and dot-regression have fixed centroids (PEDCC), the others class weights that are trained',
  builtIn,
  rules: [
    isFunction('create', '(config, { communicator, targets }) that returns a loss'),
    [
      'classWeights must be { bias: true } or { bias: false }, or left out',
      ({ classWeights }) =>
        classWeights === undefined || typeof (classWeights as { bias?: unknown } | null)?.bias === 'boolean',
    ],
    [
      'graphs must be true or false, or left out',
      ({ graphs }) => graphs === undefined || typeof graphs === 'boolean',
    ],
    [
      'mixed must be true or false, or left out',
      ({ mixed }) => mixed === undefined || typeof mixed === 'boolean',
    ],
    [
      'workersMatter must be a function, or left out',
      ({ workersMatter }) => workersMatter === undefined || typeof workersMatter === 'function',
    ],
  ],
});

export type LossConfig = z.output<typeof losses.schema>;

/** The loss that a recipe names. */
export function lossOf({ name }: Pick<LossConfig, 'name'>): LossKind {
  const kind = losses.find(name);
  if (!kind) throw new PodDistError('CONFIG_INVALID', `there is no loss ${name}`);
  return kind;
}
