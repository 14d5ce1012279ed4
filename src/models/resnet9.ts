import * as tf from '../tf/index.js';
import type { ModelConfig } from './schema.js';
import type { ModelOptions } from './options.js';
import { chain, convolutionBlock, featureLayers, LayerMaker } from './layers.js';

type ResNet9Config = Extract<ModelConfig, { name: 'resnet9' }>;

/**
 * ResNet-9 for 32x32 images, as DAWNBench's CIFAR-10 entries have it (D. Page, "How to Train Your ResNet", 2018): 3x3
 * convolutions of w, 2w, 4w and 8w channels, a 2x2 max-pool after each but the first, a residual pair of convolutions
 * after the second and the fourth, a 4x4 max-pool, a linear layer to `dim`. Few and wide convolutions, which is what
 * processors are fast at: w = 64 in the original.
 */
export function resnet9(config: ResNet9Config, { shape, seed }: ModelOptions): tf.LayersModel {
  const make = new LayerMaker(config, seed);
  const input = tf.input({ shape: [...shape], name: 'images' });
  const { width } = config;
  const halved = (value: tf.SymbolicTensor, filters: number) =>
    chain(convolutionBlock(make, value, [filters, 3, 1]), make.maxPool(2, 2));
  const withPair = (value: tf.SymbolicTensor, filters: number) => {
    const first = convolutionBlock(make, value, [filters, 3, 1]);
    const pair = convolutionBlock(make, first, [filters, 3, 1]);
    return make.add().apply([value, pair]) as tf.SymbolicTensor;
  };
  const stem = convolutionBlock(make, input, [width, 3, 1]);
  const second = withPair(halved(stem, 2 * width), 2 * width);
  const fourth = withPair(halved(halved(second, 4 * width), 8 * width), 8 * width);
  const output = featureLayers(make, chain(fourth, make.maxPool(4, 4)), config.dim);
  return tf.model({ inputs: input, outputs: output, name: config.name });
}
