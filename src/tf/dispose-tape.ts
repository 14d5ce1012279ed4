import * as tf from './index.js';

/**
 * Disposes what a gradient that has ended with an error has saved for its backward pass: TensorFlow.js does so only at the
 * end of one that succeeds, and forgets it otherwise.
 */
export function disposeTape(): void {
  const { state } = tf.engine();
  if (state.gradientDepth > 0) return;
  for (const { saved } of state.activeTape ?? [])
    for (const tensor of saved ?? []) if (!tensor.isDisposed) tensor.dispose();
  state.activeTape = [];
}
