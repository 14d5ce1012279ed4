import type * as tf from '../tf/index.js';

/** A weight that a pass reads: its variable, and the array that holds its values whenever the pass is run. */
export interface CapturedWeight {
  variable: tf.Variable;
  values: Float32Array;
}

export interface CaptureOptions<T> {
  weights: readonly CapturedWeight[];
  /** Arrays that the caller fills anew before every run; a tensor of one of them, or of a part, is an input. */
  changing: readonly ArrayBufferView[];
  /** The tensors whose values every run is to give, float32 all of them. */
  outputs(result: T): readonly tf.Tensor[];
}

/** A pass that was run operation by operation, and all that it was made of. */
export interface Recording {
  /** The reason why it cannot run as one graph; undefined where it can. */
  readonly obstacle: string | undefined;
  /** The first difference from another recording, in words; values of inputs do not count. */
  differenceFrom(other: Recording): string | undefined;
  /** Builds the graph. */
  build(): CapturedPass;
}

/** A pass as a graph of the backend's, which runs without JavaScript between its operations. */
export interface CapturedPass {
  /** Runs it with the inputs of now; fills `results`, an array for each of the outputs. A profile counts its operations. */
  run(results: readonly Float32Array[]): void;
  /**
   * Runs it as an equal pass was recorded just now: nothing of the host's part is computed again, and nothing that the host
   * does besides is done twice. Returns whether the host would have been given the same bits.
   */
  rehearse(recording: Recording, results: readonly Float32Array[]): boolean;
  /** Frees its memory; it cannot run any more. */
  dispose(): void;
}

/** Runs a pass operation by operation and records it. */
export type Capture = <T>(options: CaptureOptions<T>, pass: () => T) => { result: T; recording: Recording };
