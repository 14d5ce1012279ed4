import * as tf from '../tf/index.js';
import type { ModelConfig } from './schema.js';
import type { ModelOptions } from './options.js';
import { chain, channelsOf, featureLayers, LayerMaker, stemLayers } from './layers.js';

type DenseNetConfig = Extract<ModelConfig, { name: 'densenet121' }>;

const growth = 32;
/** Layers of each dense block. */
export const blocks = [6, 12, 24, 16];

/**
 * DenseNet-121 (arXiv 1608.06993, table 1, growth 32): four dense blocks in which every layer sees all earlier ones,
 * between them transitions that halve channels and size; batch norm and ReLU come before each convolution.
 */
export function densenet121(config: DenseNetConfig, { shape, seed }: ModelOptions): tf.LayersModel {
  const make = new LayerMaker(config, seed);
  const input = tf.input({ shape: [...shape], name: 'images' });
  let value = stemLayers(make, input, config.stem);
  blocks.forEach((layers, block) => {
    for (let layer = 0; layer < layers; layer++) value = denseLayer(make, value);
    if (block < blocks.length - 1) value = transition(make, value);
  });
  value = chain(value, make.batchNorm(), make.relu());
  const output = featureLayers(make, value, config.dim);
  return tf.model({ inputs: input, outputs: output, name: config.name });
}

function denseLayer(make: LayerMaker, input: tf.SymbolicTensor): tf.SymbolicTensor {
  const added = chain(
    input,
    make.batchNorm(),
    make.relu(),
    make.convolution(4 * growth, 1, 1),
    make.batchNorm(),
    make.relu(),
    make.convolution(growth, 3, 1),
  );
  return make.concatenate().apply([input, added]) as tf.SymbolicTensor;
}

function transition(make: LayerMaker, input: tf.SymbolicTensor): tf.SymbolicTensor {
  const half = Math.floor(channelsOf(input) / 2);
  return chain(input, make.batchNorm(), make.relu(), make.convolution(half, 1, 1), make.averagePool(2));
}
