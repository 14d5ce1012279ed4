import * as tf from '../tf/index.js';
import { unitRows, type ClassWeights } from '../losses/index.js';
import type { CentroidSource } from '../pedcc/source.js';

/** Some of the classes, from `start` on. */
export interface ClassBlock {
  start: number;
  /** A unit vector a class, [n, d]. */
  directions: tf.Tensor2D;
  /** W [n, d], where classes are chosen by logits z W^T + bias and not by cosines. */
  kernel?: tf.Tensor2D;
  /** [n] */
  bias?: tf.Tensor1D;
}

/** The class vectors that features are compared with. */
export interface ClassVectors {
  readonly classes: number;
  /** Calls `use` with all classes in blocks, in order; the tensors live during the call alone. */
  forEachBlock(use: (block: ClassBlock) => void): void;
  /** The unit vector of each label, [labels, d]; to be disposed of by the caller. */
  own(labels: Int32Array): tf.Tensor2D;
}

/** Classes of a block; fixed, so that every rank computes the same products. */
const blockClasses = 4096;

/** The vectors that a classifier's features are compared with: its centroids, or its trained class weights. */
export function classVectors(
  centroids: CentroidSource,
  weights: ClassWeights | undefined,
): ClassVectors & { dispose(): void } {
  return weights ? trained(weights) : fixed(centroids);
}

function fixed(centroids: CentroidSource): ClassVectors & { dispose(): void } {
  const { classes, dim } = centroids;
  const made = new Map<number, tf.Tensor2D>();
  const directions = (start: number, end: number) =>
    tf.keep(tf.tensor2d(centroids.block(start, end), [end - start, dim]));
  return {
    classes,
    forEachBlock(use) {
      for (let start = 0; start < classes; start += blockClasses) {
        const end = Math.min(start + blockClasses, classes);
        const block = made.get(start) ?? directions(start, end);
        use({ start, directions: block });
        if (centroids.stored) made.set(start, block);
        else block.dispose();
      }
    },
    own: (labels) => tf.tensor2d(centroids.rows(labels), [labels.length, dim]),
    dispose: () => {
      for (const block of made.values()) block.dispose();
      made.clear();
    },
  };
}

/** Plain softmax chooses by logits, which its bias shows; the losses with margins by cosines. */
function trained({ kernel, bias }: ClassWeights): ClassVectors & { dispose(): void } {
  const classes = kernel.shape[0];
  return {
    classes,
    forEachBlock(use) {
      for (let start = 0; start < classes; start += blockClasses) {
        tf.tidy(() => {
          const size = Math.min(blockClasses, classes - start);
          const rows = tf.slice(kernel, [start, 0], [size, -1]);
          const block: ClassBlock = { start, directions: unitRows(rows).unit };
          use(bias ? { ...block, kernel: rows, bias: tf.slice(bias, [start], [size]) } : block);
        });
      }
    },
    own: (labels) =>
      tf.tidy(() => unitRows(tf.gather(kernel, tf.tensor1d(labels, 'int32')) as tf.Tensor2D).unit),
    dispose: () => {},
  };
}
