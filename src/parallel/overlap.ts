import type { Communicator } from '../collective/communicator.js';
import type { Config } from '../config/schema.js';

interface OverlapOptions {
  wanted: Config['distributed']['overlap'];
  /** Whether this rank computes on a GPU. */
  gpu: boolean;
}

/**
 * Whether gradients and weights travel while the ranks compute; every rank calls it, and all get the same answer.
 *
 * Overlap hides a network, and what a GPU's host has processors for. Where all ranks compute on the CPUs of one host it
 * hides nothing: communication threads take their time from the compute threads, and for each hop four threads wake for
 * what the compute threads do in two copies.
 */
export async function decideOverlap(
  communicator: Communicator,
  { wanted, gpu }: OverlapOptions,
): Promise<boolean> {
  if (communicator.worldSize === 1) return false;
  if (wanted !== 'auto') return wanted === 'on';
  if (!communicator.withinHost) return true;
  const gpus = Float32Array.of(gpu ? 1 : 0);
  await communicator.allReduce(gpus, { op: 'max', tag: 'overlap' });
  return gpus[0] > 0;
}
