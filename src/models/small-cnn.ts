import * as tf from '../tf/index.js';
import type { ModelConfig } from './schema.js';
import { UserError } from '../util/errors.js';
import type { ModelOptions } from './options.js';
import { chain, featureLayers, LayerMaker } from './layers.js';

type SmallCnnConfig = Extract<ModelConfig, { name: 'small-cnn' }>;

/** 3x3 convolutions with ReLU, global average pooling, a linear layer: for small images and small machines. */
export function smallCnn(config: SmallCnnConfig, { shape, seed }: ModelOptions): tf.LayersModel {
  if (config.channels.length !== config.strides.length) {
    throw new UserError(
      'MODEL_INVALID',
      `model.channels has ${config.channels.length} entries and model.strides ${config.strides.length}: give one stride a convolution`,
    );
  }
  const make = new LayerMaker(config, seed);
  const input = tf.input({ shape: [...shape], name: 'images' });
  let value = input;
  config.channels.forEach((filters, index) => {
    value = chain(
      value,
      make.convolution(filters, 3, config.strides[index], config.batchNorm ? undefined : value),
    );
    if (config.batchNorm) value = chain(value, make.batchNorm());
    value = chain(value, make.relu());
  });
  const output = featureLayers(make, value, config.dim);
  return tf.model({ inputs: input, outputs: output, name: 'small-cnn' });
}
