/** Added to a norm before it divides, as in PyTorch's clip_grad_norm_. */
const clipEpsilon = 1e-6;

/** Squared norms of every parameter's weights and gradients, of a part of them or of all. */
export class Norms {
  constructor(readonly squares: Float64Array) {}

  static none(parameters: number): Norms {
    return new Norms(new Float64Array(2 * parameters));
  }

  add(parameter: number, weight: number, gradient: number): void {
    this.squares[2 * parameter] += weight;
    this.squares[2 * parameter + 1] += gradient;
  }

  of(parameter: number): { weights: number; gradients: number } {
    const [weights, gradients] = this.squares.subarray(2 * parameter, 2 * parameter + 2);
    return { weights: Math.sqrt(weights), gradients: Math.sqrt(gradients) };
  }

  /** Norm of the gradient of all parameters. */
  get total(): number {
    let sum = 0;
    for (let at = 1; at < this.squares.length; at += 2) sum += this.squares[at];
    return Math.sqrt(sum);
  }
}

/** Factor that makes gradients of this norm no longer than `longest`. */
export function clipScale(norm: number, longest: number | undefined): number {
  return longest === undefined ? 1 : Math.min(1, longest / (norm + clipEpsilon));
}
