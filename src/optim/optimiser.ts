import type { ValueKernels } from '../kernels/program.js';

/** A run of weights in this rank's shard that are updated in the same way, all arrays of one length in the arena. */
export interface Segment {
  weights: Float32Array;
  /** Sums over the ranks and micro-batches. */
  gradients: Float32Array;
  /** One array for each of the optimiser's `stateNames`. */
  state: readonly Float32Array[];
  /** Whether weight decay applies. */
  decays: boolean;
  /** What its learning rate is multiplied by. */
  factor: number;
  /** Index of the parameter that it belongs to; of the first where it spans several. */
  parameter: number;
  /** Whether that parameter has two dimensions or more. */
  matrix: boolean;
}

export interface UpdateOptions {
  /** Learning rate. */
  rate: number;
  /** Updates so far, this one included. */
  step: number;
  /** Factor that turns the gradients into those of the loss. */
  scale: number;
  /** Norms of the segment's whole parameter; for optimisers that are `layerwise`. */
  norms: { weights: number; gradients: number };
}

/** An update rule, applied to any cut of the parameters with the same result. */
export interface Optimiser {
  /** Arrays of one number a weight that it carries from step to step, zero at first; files of a checkpoint. */
  readonly stateNames: readonly StateName[];
  /** Needs segments within one parameter, and that parameter's norms over all ranks. */
  readonly layerwise: boolean;
  /** Updates the segment's weights and state in place, by these kernels: now, or where they are only written down, later. */
  update(kernels: ValueKernels, segment: Segment, options: UpdateOptions): void;
}

/** Arrays of one number a weight; `average` is that of the weights, whatever the rule. */
export const stateNames = ['velocity', 'mean', 'square', 'average'] as const;
export type StateName = (typeof stateNames)[number];
