/**
 * Collectives go in streams that do not wait for each other. Within a stream they are served in the program's order, over
 * connections of its own.
 *
 *     bulk     gradients, weights, and whatever else is long or awaited
 *     urgent   short calls that block the compute thread, such as the sums of batch norm: behind a gradient bucket they
 *              would wait for megabytes that are not for them
 */
export const streams = ['bulk', 'urgent'] as const;
export const bulk = streams.indexOf('bulk');
export const urgent = streams.indexOf('urgent');

/** The stream of a call, by what is equal on all ranks: whether it blocks, and its bytes. */
export function streamOf(call: { blocking: boolean; bytes: number }, urgentBytes: number): number {
  return call.blocking && call.bytes <= urgentBytes ? urgent : bulk;
}
