import type { Communicator, WireType } from '../../collective/communicator.js';

export interface ShardedTask {
  bytes: number;
  iterations: number;
  wire: WireType;
}

/** Milliseconds of each iteration on this rank. */
export interface ShardedTimes {
  reduceScatter: number[];
  allGather: number[];
}

let region: { values: Float32Array; residual: Float32Array } | undefined;

/** Times what a sharded optimiser does with a bucket: a reduce-scatter, then an all-gather. The first one is a warm-up. */
export async function sharded(
  communicator: Communicator,
  { bytes, iterations, wire }: ShardedTask,
): Promise<ShardedTimes> {
  const length = bytes / 4;
  if (region?.values.length !== length)
    region = { values: communicator.allocate(length), residual: communicator.allocate(length) };
  const { values, residual } = region;
  const timed = (call: () => void) => {
    communicator.barrierSync();
    const started = performance.now();
    call();
    return performance.now() - started;
  };
  const times: ShardedTimes = { reduceScatter: [], allGather: [] };
  for (let iteration = 0; iteration <= iterations; iteration++) {
    values.fill(communicator.rank);
    times.reduceScatter.push(timed(() => communicator.reduceScatterSync(values, { wire, residual })));
    times.allGather.push(timed(() => communicator.allGatherSync(values)));
  }
  return { reduceScatter: times.reduceScatter.slice(1), allGather: times.allGather.slice(1) };
}
