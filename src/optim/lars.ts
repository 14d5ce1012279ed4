import type { ValueKernels } from '../kernels/program.js';
import type { OptimizerConfig } from './schema.js';
import type { Optimiser, Segment, UpdateOptions } from './optimiser.js';
import { present } from '../util/present.js';

type LarsConfig = Extract<OptimizerConfig, { name: 'lars' }>;

/**
 * Layer-wise adaptive rates (arXiv 1708.03888): SGD whose gradient g is scaled, for each parameter w of two dimensions
 * or more, so that its length follows that of w:
 *
 *     local = trust * |w| / (|gradient| + weightDecay * |w|)
 *     g = local * (gradient + weightDecay * w)
 *     v = momentum * v + g
 *     w -= rate * (nesterov ? g + momentum * v : v)
 *
 * Biases, batch norm and parameters of length 0 have local = 1.
 */
export class Lars implements Optimiser {
  readonly stateNames = ['velocity'] as const;
  readonly layerwise = true;

  constructor(private readonly config: LarsConfig) {}

  update(kernels: ValueKernels, segment: Segment, { rate, scale, norms }: UpdateOptions): void {
    const { momentum, nesterov, trust } = this.config;
    const weightDecay = segment.decays ? this.config.weightDecay : 0;
    const length = norms.gradients * scale + weightDecay * norms.weights;
    const adapts = segment.matrix && norms.weights > 0 && length > 0;
    const local = adapts ? (trust * norms.weights) / length : 1;
    kernels.sgd(segment.weights, segment.gradients, present(segment.state[0], 'velocity'), {
      rate,
      momentum,
      nesterov,
      weightDecay: local * weightDecay,
      scale: local * scale,
    });
  }
}
