import type { OptimizerConfig } from '../config/schema.js';

/**
 * Stochastic gradient descent with momentum, Nesterov's form and weight decay, on flat float32 arrays:
 *
 *     g = gradient + weightDecay * weight
 *     v = momentum * v + g
 *     weight -= rate * (nesterov ? g + momentum * v : v)
 *
 * Every rank applies it to equal weights and equal summed gradients, so weights stay bitwise equal without a
 * broadcast.
 */
export class Sgd {
  /** One velocity a weight. */
  readonly velocity: Float32Array;

  constructor(
    length: number,
    private readonly config: OptimizerConfig,
  ) {
    this.velocity = new Float32Array(length);
  }

  /** Updates `weights` in place from the global `gradients`, with learning rate `rate`. */
  update(weights: Float32Array, gradients: Float32Array, rate: number): void {
    const { momentum, nesterov, weightDecay } = this.config;
    const velocity = this.velocity;
    for (let index = 0; index < weights.length; index++) {
      const gradient = gradients[index] + weightDecay * weights[index];
      const speed = momentum * velocity[index] + gradient;
      velocity[index] = speed;
      weights[index] -= rate * (nesterov ? gradient + momentum * speed : speed);
    }
  }
}
