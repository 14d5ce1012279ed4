import type { Communicator, WireType } from '../../collective/communicator.js';

export interface AllReduceTask {
  bytes: number;
  iterations: number;
  warmups: number;
  /** Default float32. With bf16 the sums are rounded, and not compared. */
  wire?: WireType;
}

export interface AllReduceTimes {
  /** Milliseconds of each iteration on this rank. */
  times: number[];
  /** Elements of the last result that are not the exact sum. */
  errors: number;
  /** Name of the algorithm that ran last. */
  algorithm: string;
}

const regions = new Map<string, Float32Array>();

/**
 * Times blocking all-reduces of one region of the arena. Before each one the values are written anew and the ranks
 * meet at a barrier. Values are small whole numbers, so that every element of the sum can be compared exactly.
 */
export async function allReduce(
  communicator: Communicator,
  { bytes, iterations, warmups, wire = 'float32' }: AllReduceTask,
): Promise<AllReduceTimes> {
  const { rank, worldSize } = communicator;
  const region = (use: string) => {
    const key = `${use} ${bytes}`;
    const known = regions.get(key) ?? communicator.allocate(bytes / 4);
    regions.set(key, known);
    return known;
  };
  const values = region('values');
  const residual = wire === 'bf16' ? region('residual') : undefined;
  const times: number[] = [];
  for (let iteration = -warmups; iteration < iterations; iteration++) {
    for (let index = 0; index < values.length; index++) values[index] = pattern(index, rank);
    communicator.barrierSync();
    const started = performance.now();
    communicator.allReduceSync(values, { tag: 'benchmark', wire, residual });
    const elapsed = performance.now() - started;
    if (iteration >= 0) times.push(elapsed);
  }
  const { lastAlgorithm: algorithm } = communicator;
  if (wire === 'bf16') return { times, errors: 0, algorithm };
  let errors = 0;
  for (let index = 0; index < values.length; index++) {
    let sum = 0;
    for (let other = 0; other < worldSize; other++) sum += pattern(index, other);
    if (values[index] !== sum) errors++;
  }
  return { times, errors, algorithm };
}

function pattern(index: number, rank: number): number {
  return (index + 7 * rank) & 15;
}
