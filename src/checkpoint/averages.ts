import type { WeightsChoice } from '../optim/average.js';
import type { Checkpoint } from './checkpoint.js';

/**
 * Weights and statistics of a checkpoint for evaluation: the averages where there are some and they are chosen. Statistics
 * of such a checkpoint are those of the training and, after them, their averages, as many of each.
 */
export function chosenValues(
  { state, weights, moving }: Checkpoint,
  choice: WeightsChoice,
): Pick<Checkpoint, 'weights' | 'moving'> {
  const { average } = state;
  if (!average) return { weights, moving };
  const half = moving.length / 2;
  return choice === 'average'
    ? { weights: average, moving: moving.subarray(half) }
    : { weights, moving: moving.subarray(0, half) };
}

/** A checkpoint for a training with averages (`averaged`) or without: missing averages begin at the present values. */
export function withAverages(checkpoint: Checkpoint, averaged: boolean): Checkpoint {
  const { state, moving, own } = checkpoint;
  if (averaged === (state.average !== undefined)) return checkpoint;
  const fit = (values: Float32Array) => (averaged ? twice(values) : values.slice(0, values.length / 2));
  return {
    ...checkpoint,
    moving: fit(moving),
    ...(own?.moving ? { own: { ...own, moving: own.moving.map(fit) } } : {}),
  };
}

function twice(values: Float32Array): Float32Array {
  const both = new Float32Array(2 * values.length);
  both.set(values);
  both.set(values, values.length);
  return both;
}
