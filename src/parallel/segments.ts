import type { Range } from './buckets.js';
import type { Segment } from '../optim/index.js';
import type { ParameterGroup, Slot } from './parameters.js';

interface SegmentOptions {
  slots: readonly Slot[];
  /** Flat, in the arena, as are the gradients. */
  weights: Float32Array;
  gradients: Float32Array;
  /** The optimiser's arrays, of this rank's shards alone. */
  state: readonly Float32Array[];
  /** Whether no segment may hold more than one parameter. */
  layerwise: boolean;
  /** Whether biases and batch norm do not decay. */
  skipDecay: boolean;
  /** How each parameter is trained; default: all alike. */
  groups?: readonly ParameterGroup[];
}

/**
 * Cuts a shard where the update rule changes: at every parameter for LARS, else where decay begins or ends, or the rate
 * changes. Frozen parameters are in no segment.
 *
 * @param stateOffset where the shard's state begins in the state arrays
 */
export function segmentsOf(shard: Range, stateOffset: number, options: SegmentOptions): Segment[] {
  const { slots, weights, gradients, state, layerwise, skipDecay, groups = [] } = options;
  const pieces: (Range & Pick<Segment, 'decays' | 'parameter' | 'matrix' | 'factor'>)[] = [];
  slots.forEach(({ offset, size, shape }, parameter) => {
    const start = Math.max(offset, shard.start);
    const end = Math.min(offset + size, shard.end);
    const { frozen, factor } = groups[parameter] ?? { frozen: false, factor: 1 };
    if (start >= end || frozen) return;
    const matrix = shape.length >= 2;
    const decays = matrix || !skipDecay;
    const before = pieces.at(-1);
    const isAlike = before?.end === start && before.decays === decays && before.factor === factor;
    if (before && isAlike && !layerwise) before.end = end;
    else pieces.push({ start, end, decays, factor, parameter, matrix });
  });
  return pieces.map(({ start, end, ...rest }) => {
    const at = stateOffset + start - shard.start;
    return {
      ...rest,
      weights: weights.subarray(start, end),
      gradients: gradients.subarray(start, end),
      state: state.map((array) => array.subarray(at, at + end - start)),
    };
  });
}
