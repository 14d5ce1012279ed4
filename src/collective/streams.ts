/**
 * Collectives go in streams that do not wait for each other. Within a stream they are served in the program's order.
 *
 *     bulk            gradients, weights, and whatever else is long or awaited
 *     urgent          short calls that block the compute thread, such as the sums of batch norm: behind a gradient bucket
 *                     they would wait for megabytes that are not for them
 *     bulk 2, bulk 3  further lanes for buckets: while one waits for a hop, another uses the link
 *
 * Bulk streams share their connections, urgent ones have their own.
 */
export const streams = ['bulk', 'urgent', 'bulk 2', 'bulk 3'] as const;
export const bulk = streams.indexOf('bulk');
export const urgent = streams.indexOf('urgent');

/** Streams that have connections of their own. */
export const connectedStreams = [bulk, urgent] as const;
/** Streams that share the connections of `bulk`. */
export const lanes = [bulk, streams.indexOf('bulk 2'), streams.indexOf('bulk 3')] as const;

/** The stream of a call, by what is equal on all ranks: whether it blocks, its bytes, and its lane, counted modulo `inFlight`. */
export function streamOf(
  call: { blocking: boolean; bytes: number; lane: number },
  limits: { urgentBytes: number; bucketsInFlight?: number },
): number {
  if (call.blocking && call.bytes <= limits.urgentBytes) return urgent;
  return lanes[call.lane % (limits.bucketsInFlight ?? lanes.length)];
}
