import type * as tf from '../tf/index.js';

/** Some of the classes, from `start` on. */
export interface ClassBlock {
  start: number;
  /** A unit vector a class, [n, d]. */
  directions: tf.Tensor2D;
  /** Where classes are chosen by logits z W^T + bias and not by cosines: W [n, d]. */
  kernel?: tf.Tensor2D;
  /** [n] */
  bias?: tf.Tensor1D;
}

/** What the features of an image are compared with. */
export interface ClassVectors {
  readonly classes: number;
  /** Calls `use` with all classes in blocks, in order; the tensors live during the call alone. */
  forEachBlock(use: (block: ClassBlock) => void): void;
  /** The unit vector of each label, [labels, d]; to be disposed of by the caller. */
  own(labels: Int32Array): tf.Tensor2D;
}
