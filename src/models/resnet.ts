import * as tf from '../tf/index.js';
import type { ModelConfig } from './schema.js';
import type { ModelOptions } from './options.js';
import { chain, channelsOf, convolutionBlock, featureLayers, LayerMaker, stemLayers } from './layers.js';

type ResNetConfig = Extract<
  ModelConfig,
  { name: 'resnet18' | 'resnet34' | 'resnet50' | 'resnet101' | 'resnet152' }
>;
type CifarResNetConfig = Extract<ModelConfig, { name: 'resnet20' | 'resnet56' }>;

interface Block {
  (make: LayerMaker, input: tf.SymbolicTensor, width: number, stride: number): tf.SymbolicTensor;
}

/** Blocks of each stage (arXiv 1512.03385, table 1). */
const stages = {
  resnet18: { block: basicBlock, blocks: [2, 2, 2, 2] },
  resnet34: { block: basicBlock, blocks: [3, 4, 6, 3] },
  resnet50: { block: bottleneckBlock, blocks: [3, 4, 6, 3] },
  resnet101: { block: bottleneckBlock, blocks: [3, 4, 23, 3] },
  resnet152: { block: bottleneckBlock, blocks: [3, 8, 36, 3] },
} as const;

/**
 * ResNet-18, 34, 50, 101 and 152 (arXiv 1512.03385, section 4.1): a stem of 64 channels, four stages of 64, 128, 256 and
 * 512, projections where the shape changes, global average pooling, a linear layer to `dim`.
 */
export function resnet(config: ResNetConfig, { shape, seed }: ModelOptions): tf.LayersModel {
  const { block, blocks } = stages[config.name];
  const make = new LayerMaker(config, seed);
  const input = tf.input({ shape: [...shape], name: 'images' });
  const value = residualStages(make, stemLayers(make, input, config.stem), block, {
    blocks,
    widths: [64, 128, 256, 512],
  });
  const output = featureLayers(make, value, config.dim);
  return tf.model({ inputs: input, outputs: output, name: config.name });
}

/**
 * ResNet-20 and 56 for 32x32 images (arXiv 1512.03385, section 4.2): a 3x3 stem of 16 channels, then three stages of
 * basic blocks with 16, 32 and 64 channels. Where the shape changes the shortcut is a 1x1 projection (the paper's
 * option B), which adds 2,752 parameters to the paper's option A.
 */
export function cifarResnet(config: CifarResNetConfig, { shape, seed }: ModelOptions): tf.LayersModel {
  const each = config.name === 'resnet20' ? 3 : 9;
  const make = new LayerMaker(config, seed);
  const input = tf.input({ shape: [...shape], name: 'images' });
  const value = residualStages(make, convolutionBlock(make, input, [16, 3, 1]), basicBlock, {
    blocks: [each, each, each],
    widths: [16, 32, 64],
  });
  const output = featureLayers(make, value, config.dim);
  return tf.model({ inputs: input, outputs: output, name: config.name });
}

/** Stages of residual blocks; every stage but the first halves the size. */
function residualStages(
  make: LayerMaker,
  input: tf.SymbolicTensor,
  block: Block,
  { blocks, widths }: { blocks: readonly number[]; widths: readonly number[] },
): tf.SymbolicTensor {
  let value = input;
  blocks.forEach((count, stage) => {
    for (let index = 0; index < count; index++) {
      value = block(make, value, widths[stage], stage > 0 && index === 0 ? 2 : 1);
    }
  });
  return value;
}

/** Two 3x3 convolutions of `width` channels. */
function basicBlock(
  make: LayerMaker,
  input: tf.SymbolicTensor,
  width: number,
  stride: number,
): tf.SymbolicTensor {
  const main = chain(
    convolutionBlock(make, input, [width, 3, stride]),
    make.convolution(width, 3, 1),
    make.batchNorm(),
  );
  return joined(make, input, main, stride);
}

/** 1x1, 3x3 and 1x1 convolutions; the last has four times `width` channels, the stride is in the 3x3 one. */
function bottleneckBlock(
  make: LayerMaker,
  input: tf.SymbolicTensor,
  width: number,
  stride: number,
): tf.SymbolicTensor {
  const narrow = convolutionBlock(make, input, [width, 1, 1]);
  const main = chain(
    convolutionBlock(make, narrow, [width, 3, stride]),
    make.convolution(4 * width, 1, 1),
    make.batchNorm(),
  );
  return joined(make, input, main, stride);
}

function joined(make: LayerMaker, input: tf.SymbolicTensor, main: tf.SymbolicTensor, stride: number) {
  const channels = channelsOf(main);
  const shortcut =
    stride === 1 && channelsOf(input) === channels
      ? input
      : chain(input, make.convolution(channels, 1, stride), make.batchNorm());
  return chain(make.add().apply([main, shortcut]) as tf.SymbolicTensor, make.relu());
}
