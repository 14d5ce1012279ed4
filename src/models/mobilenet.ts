import * as tf from '../tf/index.js';
import type { ModelConfig } from './schema.js';
import type { ModelOptions } from './options.js';
import { chain, channelsOf, featureLayers, LayerMaker } from './layers.js';

type MobileNetConfig = Extract<ModelConfig, { name: 'mobilenetv2' }>;

/** Stages of inverted residuals (arXiv 1801.04381, table 2): expansion, channels, blocks, first stride. */
export const stages = [
  [1, 16, 1, 1],
  [6, 24, 2, 2],
  [6, 32, 3, 2],
  [6, 64, 4, 2],
  [6, 96, 3, 1],
  [6, 160, 3, 2],
  [6, 320, 1, 1],
] as const;

/**
 * MobileNetV2, width 1 (arXiv 1801.04381): inverted residuals with depthwise convolutions and ReLU6. With the stem
 * `3x3` the first convolution and the stage of 24 channels keep the size, so that 32x32 images end as 4x4.
 */
export function mobilenetV2(config: MobileNetConfig, { shape, seed }: ModelOptions): tf.LayersModel {
  const small = config.stem === '3x3';
  const make = new LayerMaker(config, seed);
  const input = tf.input({ shape: [...shape], name: 'images' });
  let value = chain(input, make.convolution(32, 3, small ? 1 : 2), make.batchNorm(), make.relu(6));
  stages.forEach(([expansion, channels, count, firstStride], stage) => {
    for (let index = 0; index < count; index++) {
      const stride = index > 0 || (small && stage === 1) ? 1 : firstStride;
      value = invertedResidual(make, value, { expansion, channels, stride });
    }
  });
  value = chain(value, make.convolution(1280, 1, 1), make.batchNorm(), make.relu(6));
  const output = featureLayers(make, value, config.dim);
  return tf.model({ inputs: input, outputs: output, name: config.name });
}

function invertedResidual(
  make: LayerMaker,
  input: tf.SymbolicTensor,
  { expansion, channels, stride }: { expansion: number; channels: number; stride: number },
): tf.SymbolicTensor {
  const inside = expansion * channelsOf(input);
  const wide =
    expansion === 1 ? input : chain(input, make.convolution(inside, 1, 1), make.batchNorm(), make.relu(6));
  const output = chain(
    wide,
    make.depthwise(stride),
    make.batchNorm(),
    make.relu(6),
    make.convolution(channels, 1, 1),
    make.batchNorm(),
  );
  if (stride !== 1 || channelsOf(input) !== channels) return output;
  return make.add().apply([input, output]) as tf.SymbolicTensor;
}
