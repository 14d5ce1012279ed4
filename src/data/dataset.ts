import type { Mix } from './mixing.js';
import type { PixelOrigins } from './pixels/pixel-source.js';

/** Images and labels of one batch, as a loader hands them to the compute thread. */
export interface Batch {
  /**
   * Row-major [count, height, width, channels], augmented and normalised. Its memory is used again for a later batch:
   * it is valid until the next batch is asked for.
   */
  images: Float32Array;
  /** Class of each image, [count]. */
  labels: Int32Array;
  count: number;
  /** Classes of the images that these are mixed with, [count], and the weight of the own classes; where they are. */
  mixed?: { labels: Int32Array; share: number };
}

/** The images to train with, or those to test with. */
export type SplitName = 'train' | 'test';

/** Batches of one split that are wanted. */
export interface BatchRequest {
  split: SplitName;
  /** Image indices of each batch, in order; an empty array gives an empty batch. */
  batches: readonly Int32Array[];
  /** Epoch (from 0) for augmentation; training images are augmented, test images never. */
  epoch: number;
  /** How each batch is mixed, for a data set that does so; the first image of one that is mixed is only a partner. */
  mixes?: readonly (Mix | undefined)[];
}

/** A data set that has been opened and checked. */
export interface Dataset {
  readonly name: string;
  readonly classNames: readonly string[];
  /** [height, width, channels] */
  readonly shape: readonly [number, number, number];
  /** Class of every image of a split. */
  readonly labels: Readonly<Record<SplitName, Int32Array>>;
  /** SHA-256 over what the ranks must agree on: names, order, labels, and pixels or a sample of the files. */
  fingerprint(): Promise<string>;
  /** The requested batches in order; at most a bounded number is prepared ahead. */
  read(request: BatchRequest): AsyncIterable<Batch>;
  /** `read` mixes batches itself, as `BatchRequest.mixes` says; default: it is given none, and whoever asked for them mixes. */
  readonly mixes?: true;
  /** Origins of the pixels of the images read so far; only where images are decoded. */
  readonly origins?: Readonly<PixelOrigins>;
  /** Ends loader threads; safe to call twice. */
  close(): Promise<void>;
}
