import type { Communicator } from '../collective/communicator.js';
import type { Batch } from '../data/dataset.js';
import type { RankTimes } from '../record/records.js';

/** The times of several epochs together. */
export function addTimes(a: RankTimes, b: RankTimes): RankTimes {
  return {
    images: a.images + b.images,
    seconds: a.seconds + b.seconds,
    loaderSeconds: a.loaderSeconds + b.loaderSeconds,
    exposedSeconds: a.exposedSeconds + b.exposedSeconds,
  };
}

/** Measures where this rank's time goes in the training of an epoch. */
export class EpochTimes {
  private readonly started = performance.now();
  private readonly waitedBefore: number;
  private loaderMs = 0;

  /** @param images of the epoch's steps that were made before */
  constructor(
    private readonly communicator: Communicator,
    private images = 0,
  ) {
    this.waitedBefore = communicator.waitedMs;
  }

  /** The same batches; the time spent waiting for them is counted. */
  async *loading(batches: AsyncIterable<Batch>): AsyncIterable<Batch> {
    let asked = performance.now();
    for await (const batch of batches) {
      this.loaderMs += performance.now() - asked;
      this.images += batch.count;
      yield batch;
      asked = performance.now();
    }
  }

  /** The times so far. */
  end(): RankTimes {
    return {
      images: this.images,
      seconds: (performance.now() - this.started) / 1000,
      loaderSeconds: this.loaderMs / 1000,
      exposedSeconds: (this.communicator.waitedMs - this.waitedBefore) / 1000,
    };
  }
}
