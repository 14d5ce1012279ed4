import * as tf from '../tf/index.js';
import type { ModelConfig } from './schema.js';
import type { ModelOptions } from './options.js';
import { chain, channelsOf, convolutionBlock, LayerMaker } from './layers.js';

type ResNetFaceConfig = Extract<ModelConfig, { name: 'resnet-face18' }>;

/** The excitation of a block has a sixteenth of its channels. */
const squeeze = 16;

/**
 * ResNet-face18, which the papers on PEDCC train on faces (of the repository ronghuaiyang/arcface-pytorch): residual blocks that
 * begin with batch norm, weigh their channels by squeeze and excitation (arXiv 1709.01507) and have PReLU of one slope; at the
 * end batch norm, dropout, a linear layer over all that is left of height and width, and batch norm of the features.
 */
export function resnetFace18(config: ResNetFaceConfig, { shape, seed }: ModelOptions): tf.LayersModel {
  const make = new LayerMaker(config, seed);
  const input = tf.input({ shape: [...shape], name: 'images' });
  const stem = convolutionBlock(make, input, [64, 3, 1], make.prelu(3));
  let value = chain(stem, make.maxPool(2, 2));
  for (const [stage, width] of [64, 128, 256, 512].entries())
    for (let index = 0; index < 2; index++)
      value = block(make, value, width, stage > 0 && index === 0 ? 2 : 1);
  value = chain(value, make.batchNorm(), make.dropout(config.dropout), make.flatten());
  const features = chain(value, make.dense(config.dim, channelsOf(value), 'features'));
  const output = chain(features, make.batchNorm(config.affine));
  return tf.model({ inputs: input, outputs: output, name: config.name });
}

function block(make: LayerMaker, input: tf.SymbolicTensor, width: number, stride: number) {
  const inside = convolutionBlock(
    make,
    chain(input, make.batchNorm()),
    [channelsOf(input), 3, 1],
    make.prelu(3),
  );
  const main = chain(inside, make.convolution(width, 3, stride), make.batchNorm());
  const shortcut =
    stride === 1 && channelsOf(input) === width
      ? input
      : chain(input, make.convolution(width, 1, stride), make.batchNorm());
  const sum = make.add().apply([excited(make, main), shortcut]) as tf.SymbolicTensor;
  return chain(sum, make.prelu(3));
}

/** The channels, each times a gate between 0 and 1 that depends on the means of all. */
function excited(make: LayerMaker, value: tf.SymbolicTensor): tf.SymbolicTensor {
  const channels = channelsOf(value);
  const few = Math.max(1, Math.floor(channels / squeeze));
  const gates = chain(
    value,
    make.globalAverage(),
    make.dense(few, channels),
    make.prelu(1),
    make.dense(channels, few),
    make.sigmoid(),
    make.reshape([1, 1, channels]),
  );
  return make.multiply().apply([value, gates]) as tf.SymbolicTensor;
}
