import * as tf from '../tf/index.js';
import type { ModelConfig } from './schema.js';
import type { ModelOptions } from './options.js';
import { chain, featureLayers, LayerMaker } from './layers.js';

type VggConfig = Extract<ModelConfig, { name: 'vgg16-bn' }>;

/** Channels of the convolutions of each stage (arXiv 1409.1556, configuration D). */
export const stages = [
  [64, 64],
  [128, 128],
  [256, 256, 256],
  [512, 512, 512],
  [512, 512, 512],
];

/**
 * VGG-16 with batch norm: thirteen 3x3 convolutions in five stages, each ended by a 2x2 max-pool, global average
 * pooling in place of the two hidden layers of 4,096, a linear layer to `dim`. The convolutions keep their biases, as
 * in the published weights. The papers on PEDCC have PReLU in the place of ReLU.
 */
export function vgg16(config: VggConfig, { shape, seed }: ModelOptions): tf.LayersModel {
  const make = new LayerMaker(config, seed);
  const activation = () => (config.activation === 'prelu' ? make.prelu(3) : make.relu());
  const input = tf.input({ shape: [...shape], name: 'images' });
  let value = input;
  for (const stage of stages) {
    for (const filters of stage) {
      value = chain(value, make.convolution(filters, 3, 1, value), make.batchNorm(), activation());
    }
    value = chain(value, make.maxPool(2, 2));
  }
  const output = featureLayers(make, value, config.dim);
  return tf.model({ inputs: input, outputs: output, name: config.name });
}
