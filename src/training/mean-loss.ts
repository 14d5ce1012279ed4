import type { LossValues } from '../losses/index.js';

/** The loss of one step: the mean over its micro-batches, for the loss and each of its terms. */
export class MeanLoss {
  loss = 0;
  /** Images of all ranks and micro-batches. */
  images = 0;
  readonly parts: Record<string, number> = {};

  /** Takes one of `count` micro-batches, of `images` images. */
  add({ loss, parts }: LossValues, images: number, count: number): void {
    this.loss += loss / count;
    this.images += images;
    for (const [name, part] of Object.entries(parts))
      this.parts[name] = (this.parts[name] ?? 0) + part / count;
  }
}
