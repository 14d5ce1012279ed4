import { fillBuckets } from './buckets.js';

/** Latency and bandwidth of one connection. */
export interface LinkModel {
  /** Milliseconds of one hop. */
  hopMs: number;
  /** Milliseconds a byte that a rank sends. */
  byteMs: number;
}

/** A measured all-reduce: ranks, payload, milliseconds, and how many ranks share a core. */
export interface Sample {
  workers: number;
  bytes: number;
  medianMs: number;
  sharing: number;
}

/** Hops and bytes a rank sends, of a ring all-reduce. */
function ringCost(workers: number, bytes: number): { hops: number; sent: number } {
  return { hops: 2 * (workers - 1), sent: (2 * (workers - 1) * bytes) / workers };
}

/**
 * Fits t = sharing * (hops * hopMs + sent * byteMs) by least squares of the relative errors: ranks that share a core
 * take turns. Neither constant is below zero.
 */
export function fitLink(samples: readonly Sample[]): LinkModel {
  let [hh, hs, ss, ht, st] = [0, 0, 0, 0, 0];
  for (const { workers, bytes, medianMs, sharing } of samples) {
    const { hops, sent } = ringCost(workers, bytes);
    const [h, s] = [(sharing * hops) / medianMs, (sharing * sent) / medianMs];
    hh += h * h;
    hs += h * s;
    ss += s * s;
    ht += h;
    st += s;
  }
  const determinant = hh * ss - hs * hs;
  if (determinant <= 0) return { hopMs: 0, byteMs: st / ss };
  const hopMs = (ht * ss - st * hs) / determinant;
  const byteMs = (st * hh - ht * hs) / determinant;
  if (hopMs < 0) return { hopMs: 0, byteMs: st / ss };
  return byteMs < 0 ? { hopMs: ht / hh, byteMs: 0 } : { hopMs, byteMs };
}

/** Ranks of a host in a prediction. */
const perHost = 8;

/**
 * Milliseconds of an all-reduce, each rank on cores and a connection of its own: a ring, or within hosts and then
 * across, whichever is faster.
 */
export function allReduceMs({ hopMs, byteMs }: LinkModel, workers: number, bytes: number): number {
  const time = ({ hops, sent }: { hops: number; sent: number }) => hops * hopMs + sent * byteMs;
  const flat = time(ringCost(workers, bytes));
  if (workers <= perHost || workers % perHost !== 0) return flat;
  const within = time(ringCost(perHost, bytes));
  return Math.min(flat, within + time(ringCost(workers / perHost, bytes / perHost)));
}

/**
 * Milliseconds of a training step: buckets are reduced one after another, each once it is full and the one before is
 * done.
 */
export function stepMs(
  link: LinkModel,
  workers: number,
  step: { layers: readonly number[]; computeMs: number; bucketBytes: number; overlap: boolean },
): number {
  const { layers, computeMs, overlap } = step;
  const forward = computeMs / 3;
  let end = overlap ? 0 : computeMs;
  for (const { start, end: stop, layer } of fillBuckets(layers, step.bucketBytes)) {
    const ready = forward + ((computeMs - forward) * (layers.length - layer)) / layers.length;
    end = Math.max(end, overlap ? ready : 0) + allReduceMs(link, workers, (stop - start) * 4);
  }
  return Math.max(computeMs, end);
}
