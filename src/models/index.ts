import type * as tf from '@tensorflow/tfjs';
import type { ModelConfig } from '../config/schema.js';
import { resnet20 } from './resnet.js';
import { smallCnn } from './small-cnn.js';

export interface ModelOptions {
  /** [height, width, channels] of one image. */
  shape: readonly [number, number, number];
  /** Decides every initial weight. */
  seed: number;
}

/**
 * The backbone that a recipe names: images [b, height, width, channels] to features [b, dim], a linear layer last.
 * Its initial weights depend on the seed alone, not on the backend.
 */
export function buildModel(config: ModelConfig, options: ModelOptions): tf.LayersModel {
  switch (config.name) {
    case 'small-cnn':
      return smallCnn(config, options);
    case 'resnet20':
      return resnet20(config, options);
  }
}
