import { tf } from '../tf/deferred.js';
import type { DataType, Tensor } from '../tf/index.js';

/** An array of the host's that becomes a tensor. */
export interface HostTensor {
  values: Float32Array | Int32Array;
  shape: number[];
}

/** Numbers that the host makes of tensors once a pass is over. */
export interface Outcome<T> {
  tensors: readonly Tensor[];
  /** Called once a pass, with the values of `tensors`. */
  of(values: readonly Float32Array[]): T;
}

/** What a pass that is being recorded is told of the host's part in it. */
export interface HostRecorder {
  fromHost(make: () => HostTensor, dtype: DataType): Tensor;
  onHost(inputs: readonly Tensor[], compute: HostComputation): Tensor[];
}

/** What the host computes of the values of tensors. */
export type HostComputation = (values: readonly Float32Array[]) => readonly HostTensor[];

let recorder: HostRecorder | undefined;

/** Runs a pass while `recording` is told of the host's part in it. */
export function recordHost<T>(recording: HostRecorder, pass: () => T): T {
  recorder = recording;
  try {
    return pass();
  } finally {
    recorder = undefined;
  }
}

/**
 * A tensor of numbers that may be others in the next pass of the same shapes: `make` is called again for a captured one.
 * Whatever else of the host's gets into a pass counts as a constant of it.
 *
 * @example
 * import { fromHost, initBackend } from 'pod-dist';
 *
 * await initBackend('cpu');
 * let temperature = 2;
 * const scale = () => fromHost(() => ({ values: Float32Array.of(1 / temperature), shape: [] }));
 * temperature = 4;
 * console.log(await scale().data()); // 0.25
 */
export function fromHost<T extends Tensor>(
  make: () => HostTensor,
  dtype: 'float32' | 'int32' = 'float32',
): T {
  if (recorder) return recorder.fromHost(make, dtype) as T;
  const { values, shape } = make();
  return tf.tensor(values, shape, dtype) as T;
}

/**
 * Tensors that the host computes of float32 tensors in the middle of a pass, such as sums over ranks. `compute` may keep
 * nothing of the arrays that it is given.
 *
 * @example
 * import { initBackend, LocalCommunicator, onHost } from 'pod-dist';
 *
 * const { tf } = await initBackend('cpu');
 * const communicator = new LocalCommunicator();
 * const [sums] = onHost([tf.tensor1d([1, 2])], ([own]) => {
 *   const values = own.slice();
 *   communicator.allReduceSync(values);
 *   return [{ values, shape: [2] }];
 * });
 * console.log(await sums.data()); // 1, 2
 */
export function onHost(inputs: readonly Tensor[], compute: HostComputation): Tensor[] {
  if (recorder) return recorder.onHost(inputs, compute);
  return compute(readTogether(inputs)).map(({ values, shape }) => tf.tensor(values, shape));
}

/**
 * Reads the tensors of an outcome, and disposes of them.
 *
 * @example
 * import { initBackend, readOutcome } from 'pod-dist';
 *
 * const { tf } = await initBackend('cpu');
 * const outcome = { tensors: [tf.scalar(3)], of: ([[sum]]: readonly Float32Array[]) => ({ loss: sum / 2 }) };
 * console.log(readOutcome(outcome).loss); // 1.5
 */
export function readOutcome<T>({ tensors, of }: Outcome<T>): T {
  const values = readTogether(tensors);
  tf.dispose([...tensors]);
  return of(values);
}

/** The values of float32 tensors in one read: each read waits for a GPU. */
function readTogether(tensors: readonly Tensor[]): Float32Array[] {
  if (tensors.length <= 1) return tensors.map((tensor) => tensor.dataSync<'float32'>());
  const joined = tf.tidy(() => tf.concat(tensors.map((tensor) => tf.reshape(tensor, [-1]))));
  const values = joined.dataSync<'float32'>();
  joined.dispose();
  let next = 0;
  return tensors.map(({ size }) => values.subarray(next, (next += size)));
}
