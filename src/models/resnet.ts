import * as tf from '@tensorflow/tfjs';
import type { ModelConfig } from '../config/schema.js';
import type { ModelOptions } from './index.js';
import { chain, LayerMaker } from './layers.js';

type ResNet20Config = Extract<ModelConfig, { name: 'resnet20' }>;

/**
 * ResNet-20 for 32x32 images (arXiv 1512.03385, section 4.2): a 3x3 stem of 16 channels, then three stages of three
 * basic blocks with 16, 32 and 64 channels, a 1x1 projection where the shape changes, global average pooling and a
 * linear layer to `dim`.
 */
export function resnet20(config: ResNet20Config, { shape, seed }: ModelOptions): tf.LayersModel {
  const make = new LayerMaker(seed);
  const input = tf.input({ shape: [...shape], name: 'images' });
  let value = chain(input, make.convolution(16, 3, 1, false), make.batchNorm(), make.relu());
  for (const [filters, firstStride] of [
    [16, 1],
    [32, 2],
    [64, 2],
  ]) {
    for (const stride of [firstStride, 1, 1]) value = basicBlock(make, value, filters, stride);
  }
  const output = chain(value, make.globalAverage(), make.features(config.dim));
  return tf.model({ inputs: input, outputs: output, name: 'resnet20' });
}

function basicBlock(
  make: LayerMaker,
  input: tf.SymbolicTensor,
  filters: number,
  stride: number,
): tf.SymbolicTensor {
  const main = chain(
    input,
    make.convolution(filters, 3, stride, false),
    make.batchNorm(),
    make.relu(),
    make.convolution(filters, 3, 1, false),
    make.batchNorm(),
  );
  const channels = input.shape[input.shape.length - 1];
  const shortcut =
    stride === 1 && channels === filters
      ? input
      : chain(input, make.convolution(filters, 1, stride, false), make.batchNorm());
  const sum = make.add().apply([main, shortcut]) as tf.SymbolicTensor;
  return chain(sum, make.relu());
}
