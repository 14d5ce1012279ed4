import type { Communicator, WireType } from '../../collective/communicator.js';
import { fillBuckets } from '../buckets.js';

export interface StepTask {
  /** Parameters of each layer, first layer first. */
  layers: readonly number[];
  /** Milliseconds of one step's computation: a third forward, two thirds backward, every layer alike. */
  computeMs: number;
  bucketBytes: number;
  /** Send each bucket as soon as its gradients are there. */
  overlap: boolean;
  wire: WireType;
  steps: number;
  warmups: number;
}

export interface StepTimes {
  stepMs: number[];
  /** Milliseconds of each step beyond its computation. */
  exposedMs: number[];
}

let gradients: Float32Array | undefined;
let residuals: Float32Array | undefined;

/**
 * Steps of data-parallel training whose computation is a given time, spent asleep as a thread does that waits for its
 * GPU; the communication is real.
 */
export async function step(communicator: Communicator, task: StepTask): Promise<StepTimes> {
  const { layers, computeMs, overlap, wire } = task;
  const parameters = layers.reduce((sum, size) => sum + size, 0);
  if (gradients?.length !== parameters) [gradients, residuals] = [undefined, undefined];
  const values = (gradients ??= communicator.allocate(parameters));
  const kept = wire === 'bf16' ? (residuals ??= communicator.allocate(parameters)) : undefined;
  const buckets = fillBuckets(layers, task.bucketBytes);
  const result: StepTimes = { stepMs: [], exposedMs: [] };
  for (let index = -task.warmups; index < task.steps; index++) {
    values.fill(communicator.rank);
    communicator.barrierSync();
    const started = performance.now();
    const forward = computeMs / 3;
    const pending: Promise<void>[] = [];
    let next = 0;
    sleepUntil(started + forward);
    for (let layer = layers.length - 1; layer >= 0; layer--) {
      const done = layers.length - layer;
      sleepUntil(started + forward + ((computeMs - forward) * done) / layers.length);
      while (next < buckets.length && buckets[next].layer === layer) {
        const { start, end } = buckets[next++];
        const bucket = values.subarray(start, end);
        const options = { tag: `bucket${next}`, lane: next, wire, residual: kept?.subarray(start, end) };
        if (overlap) pending.push(communicator.allReduce(bucket, options));
      }
    }
    if (overlap) await Promise.all(pending);
    else
      buckets.forEach(({ start, end }, number) =>
        communicator.allReduceSync(values.subarray(start, end), {
          tag: `bucket${number + 1}`,
          wire,
          residual: kept?.subarray(start, end),
        }),
      );
    const elapsed = performance.now() - started;
    if (index < 0) continue;
    result.stepMs.push(elapsed);
    result.exposedMs.push(Math.max(0, elapsed - computeMs));
  }
  return result;
}

const clock = new Int32Array(new SharedArrayBuffer(4));

function sleepUntil(time: number): void {
  const left = time - performance.now();
  if (left > 0) Atomics.wait(clock, 0, 0, left);
}
