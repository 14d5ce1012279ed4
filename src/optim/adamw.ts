import type { ValueKernels } from '../kernels/program.js';
import type { OptimizerConfig } from './schema.js';
import type { Optimiser, Segment, UpdateOptions } from './optimiser.js';
import { present } from '../util/present.js';

type AdamWConfig = Extract<OptimizerConfig, { name: 'adamw' }>;

/**
 * Adam with decoupled weight decay (arXiv 1711.05101), in update t, from 1:
 *
 *     weight *= 1 - rate * weightDecay
 *     m = b1 * m + (1 - b1) * gradient          s = b2 * s + (1 - b2) * gradient^2
 *     weight -= rate * (m / (1 - b1^t)) / (sqrt(s / (1 - b2^t)) + epsilon)
 */
export class AdamW implements Optimiser {
  readonly stateNames = ['mean', 'square'] as const;
  readonly layerwise = false;

  constructor(private readonly config: AdamWConfig) {}

  update(
    kernels: ValueKernels,
    { weights, gradients, state, decays }: Segment,
    { rate, step, scale }: UpdateOptions,
  ): void {
    const { betas, epsilon } = this.config;
    const weightDecay = decays ? this.config.weightDecay : 0;
    const [mean, square] = [present(state[0], 'mean'), present(state[1], 'square')];
    kernels.adamW(weights, gradients, mean, square, { rate, betas, epsilon, weightDecay, step, scale });
  }
}
