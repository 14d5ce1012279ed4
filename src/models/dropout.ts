import * as tf from '../tf/index.js';
import { fromHost } from '../backend/host-values.js';
import { randomStream } from '../util/random.js';
import type { LayerOverride } from './forward.js';

/** The images of a pass, and the epoch that it belongs to. */
export interface Drawing {
  epoch: number;
  /** Index of each image in the training split. */
  images: Int32Array;
}

/** Numbers of 32 bits. */
const range = 2 ** 32;

/**
 * Gives a model's dropout layers their training pass. Which features of an image fall away follows from (seed, epoch, image,
 * layer) alone, so that it does not matter which rank has the image, beside which others. Those that stay are divided by the
 * share that stays.
 */
export class Dropout {
  /** Training passes by layer name, for `ForwardPass.run`. */
  readonly overrides = new Map<string, LayerOverride>();
  private drawing: Drawing = { epoch: 0, images: new Int32Array() };

  constructor(
    model: tf.LayersModel,
    private readonly seed: number,
  ) {
    const layers = model.layers.filter((layer) => layer.getClassName() === 'Dropout');
    layers.forEach((layer, index) => {
      const { rate } = layer.getConfig() as { rate: number };
      if (rate > 0) this.overrides.set(layer.name, (input) => tf.mul(input, this.mask(input, index, rate)));
      else this.overrides.set(layer.name, (input) => input);
    });
  }

  /** Sets the images of the next pass, in order. */
  begin(drawing: Drawing): void {
    this.drawing = drawing;
  }

  /** A factor for every feature of the images; 1 for the placeholder of a rank without any. */
  private mask(input: tf.Tensor, layer: number, rate: number): tf.Tensor {
    return fromHost(() => {
      const { epoch, images } = this.drawing;
      const values = new Float32Array(input.size).fill(1);
      const each = input.size / input.shape[0];
      const kept = 1 / (1 - rate);
      images.forEach((image, row) => {
        const random = randomStream(this.seed, 0xd209, epoch, image, layer);
        for (let at = row * each; at < (row + 1) * each; at++)
          values[at] = (random.bits() >>> 0) / range < rate ? 0 : kept;
      });
      return { values, shape: input.shape };
    });
  }
}
