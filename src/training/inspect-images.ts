import { setTimeout as delay } from 'node:timers/promises';
import { shardRange, type Communicator } from '../collective/communicator.js';
import type { Dataset } from '../data/dataset.js';
import type { Reporter } from '../record/reporter.js';

/** Milliseconds that the first step waits for the inspection of the evaluation's images. */
const waitMs = 3000;

/** Images that are decoded together; small, so that those of training get their turn. */
const imagesAtOnce = 16;

interface InspectOptions {
  /** Data sets to inspect: only those whose images are files; others were read when they were opened. */
  datasets: readonly Dataset[];
  communicator: Communicator;
  reporter: Reporter;
  /** Shares that this process has found whole before, by rank and number of ranks; it adds its own. */
  inspected?: Set<string>;
}

/**
 * Looks at the images that only evaluations will read, so that a broken one is known before it costs an epoch: each
 * rank decodes its share of every test split, in the background, with the threads that load training images, and once.
 * An image that is found broken in time stops the run before its first step; one that is found later stops it after a
 * checkpoint at the end of the epoch. Decoded pixels are kept for the evaluation where they are kept at all.
 */
export class Inspection {
  private stopped = false;
  private error: Error | undefined;
  private settled = false;
  private awaited = false;
  private readonly done: Promise<void>;

  constructor(private readonly options: InspectOptions) {
    this.done = this.inspect();
  }

  /** Resolves when all images have been inspected, or after `waitMs`; rejects where an image is broken. */
  async start(): Promise<void> {
    await Promise.race([this.done, delay(waitMs, undefined, { ref: false })]);
    this.throwIfBroken();
  }

  /**
   * Resolves, once all images have been inspected, with whether any rank has found a broken one; every rank calls it.
   */
  async foundBroken(): Promise<boolean> {
    if (this.settled) return false;
    this.awaited = true;
    await this.done;
    const ranks = Float64Array.of(this.error === undefined ? 0 : 1);
    await this.options.communicator.allReduce(ranks, { tag: 'broken-images' });
    this.settled = true;
    return ranks.some((found) => found > 0);
  }

  throwIfBroken(): void {
    if (this.error !== undefined) throw this.error;
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await this.done;
  }

  private async inspect(): Promise<void> {
    const { communicator, inspected } = this.options;
    const share = `${communicator.rank} of ${communicator.worldSize}`;
    if (inspected?.has(share)) return;
    try {
      for (const dataset of this.options.datasets.filter(({ origins }) => origins !== undefined)) {
        for await (const _ of dataset.read({ split: 'test', batches: this.share(dataset), epoch: 0 })) {
          if (this.stopped) return;
          if (this.awaited) this.options.reporter.progress('look at the images of the evaluation');
        }
      }
      inspected?.add(share);
    } catch (error) {
      this.error = error as Error;
    }
  }

  private share({ labels }: Dataset): Int32Array[] {
    const { rank, worldSize } = this.options.communicator;
    const [start, end] = shardRange(labels.test.length, rank, worldSize);
    const batches = Math.ceil((end - start) / imagesAtOnce);
    return Array.from({ length: batches }, (_, batch) => {
      const first = start + batch * imagesAtOnce;
      return Int32Array.from({ length: Math.min(imagesAtOnce, end - first) }, (_, image) => first + image);
    });
  }
}
