import type { ValueKernels } from '../kernels/program.js';
import type { OptimizerConfig } from './schema.js';
import type { Optimiser, Segment, UpdateOptions } from './optimiser.js';
import { present } from '../util/present.js';

type SgdConfig = Extract<OptimizerConfig, { name: 'sgd' }>;

/**
 * Stochastic gradient descent with momentum, Nesterov's form and weight decay:
 *
 *     g = gradient + weightDecay * weight
 *     v = momentum * v + g
 *     weight -= rate * (nesterov ? g + momentum * v : v)
 */
export class Sgd implements Optimiser {
  readonly stateNames = ['velocity'] as const;
  readonly layerwise = false;

  constructor(private readonly config: SgdConfig) {}

  update(
    kernels: ValueKernels,
    { weights, gradients, state, decays }: Segment,
    { rate, scale }: UpdateOptions,
  ): void {
    const { momentum, nesterov } = this.config;
    const weightDecay = decays ? this.config.weightDecay : 0;
    kernels.sgd(weights, gradients, present(state[0], 'velocity'), {
      rate,
      momentum,
      nesterov,
      weightDecay,
      scale,
    });
  }
}
