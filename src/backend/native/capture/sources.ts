import type { HostComputation, HostTensor } from '../../host-values.js';
import type { Attribute } from '../node-backend.js';

/** Where a tensor of a recorded pass comes from. */
export type Source =
  | { kind: 'output'; node: number; output: number }
  | { kind: 'input'; input: number }
  | { kind: 'constant'; constant: number };

/** A type of TensorFlow's, by its number, and a shape. */
export interface TensorType {
  type: number;
  shape: readonly number[];
}

/** A call of a TensorFlow operation. */
export interface Node {
  operation: string;
  attributes: readonly Attribute[];
  inputs: readonly Source[];
  outputs: readonly TensorType[];
  /** Computations of the host before it. */
  segment: number;
}

/** A tensor that the host gives; `make` where it does so before the run, and else a computation of the host's gives it. */
export interface Input extends TensorType {
  make?(): HostTensor['values'];
}

export interface Constant extends TensorType {
  bytes: Uint8Array;
}

/** A computation of the host's in the middle of a pass. */
export interface HostCall {
  inputs: readonly Source[];
  /** Elements of each input. */
  sizes: readonly number[];
  compute: HostComputation;
  /** Numbers of the inputs of the graph that it gives, and the values that it gave. */
  outputs: readonly number[];
  recorded: readonly HostTensor['values'][];
}

/** All that a pass is made of. */
export interface RecordedPass {
  nodes: readonly Node[];
  inputs: readonly Input[];
  constants: readonly Constant[];
  hostCalls: readonly HostCall[];
  outputs: readonly Source[];
}

/** A recording of this backend's. */
export interface HasPass {
  readonly pass: RecordedPass;
  readonly seen: Seen;
}

/** What a recorded pass was given. */
export interface Seen {
  /** Values of the weights, which may be updated while the pass is under way, and of `fromHost`, by input. */
  given: ReadonlyMap<number, HostTensor['values']>;
  /** What each computation of the host's read. */
  hostInputs: readonly (readonly Float32Array[])[];
}
