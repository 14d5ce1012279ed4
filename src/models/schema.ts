import { z } from 'zod';
import { path, upTo } from '../util/bounds.js';

/** Feature dimensions, and channels of a layer. */
const mostChannels = 16_384;
/** Weights of all convolutions together: 1 GB. */
const mostWeights = 2 ** 28;

const dim = z.int().min(2).max(mostChannels).describe('feature dimension d');
const stem = z
  .enum(['3x3', 'imagenet'])
  .default('3x3')
  .describe('first layers: 3x3 keeps small images large, imagenet shrinks them early');

const init = z
  .enum(['he', 'pytorch'])
  .default('he')
  .describe(
    "initial weights: He's normal ones, biases 0; or PyTorch's defaults, uniform in +-1/sqrt(fan in), a sixth of that variance, also for trained class weights",
  );
const padding = z
  .enum(['tensorflow', 'pytorch'])
  .default('tensorflow')
  .describe(
    'border of convolutions and pooling with a stride: what `same` means to TensorFlow, on the right and bottom alone where sizes are even, or on all sides alike',
  );
/** Settings of every backbone that ships with pod-dist. */
const common = { dim: dim.default(256), init, padding };

export interface InitConfig {
  /** How weights start; undefined, as in a backbone of one's own: He's way. */
  init?: z.output<typeof init>;
}

/** Settings of all layers of a network that ships with pod-dist. */
export interface MakerConfig extends InitConfig {
  padding?: z.output<typeof padding>;
}

/** Settings of the backbones that ship with pod-dist, by family. */
export const modelSchemas = {
  smallCnn: z.strictObject({
    name: z.literal('small-cnn'),
    ...common,
    dim: dim.default(128),
    channels: z
      .array(upTo(mostChannels))
      .min(1)
      .max(100)
      .refine((channels) => weightsOf(channels) <= mostWeights, {
        error: `these convolutions have more than ${mostWeights.toLocaleString('en')} weights: give fewer channels`,
      })
      .default([32, 64, 128])
      .describe('a 3x3 convolution each'),
    strides: z.array(upTo(16)).min(1).max(100).default([1, 2, 2]).describe('of each convolution'),
    batchNorm: z.boolean().default(false).describe('after each convolution'),
  }),
  resnet9: z.strictObject({
    name: z.literal('resnet9'),
    ...common,
    width: upTo(512).default(64).describe('channels of the first convolution'),
  }),
  cifarResnet: z.strictObject({ name: z.enum(['resnet20', 'resnet56']), ...common }),
  resnet: z.strictObject({
    name: z.enum(['resnet18', 'resnet34', 'resnet50', 'resnet101', 'resnet152']),
    ...common,
    stem,
  }),
  vgg16: z.strictObject({
    name: z.literal('vgg16-bn'),
    ...common,
    activation: z.enum(['relu', 'prelu']).default('relu').describe('PReLU has one slope a layer'),
  }),
  resnetFace18: z.strictObject({
    name: z.literal('resnet-face18'),
    ...common,
    dropout: z
      .number()
      .min(0)
      .max(0.95)
      .default(0.5)
      .describe('share of the numbers before the last layer that fall away'),
    affine: z.boolean().default(true).describe('the batch norm of the features has a scale and an offset'),
  }),
  densenet121: z.strictObject({ name: z.literal('densenet121'), ...common, stem }),
  mobilenetV2: z.strictObject({ name: z.literal('mobilenetv2'), ...common, stem }),
  vitTiny: z.strictObject({
    name: z.literal('vit-tiny'),
    ...common,
    patch: upTo(64).default(4).describe('side of the squares of pixels that are tokens'),
  }),
  module: z.strictObject({
    name: z.literal('module'),
    path: path.describe('JavaScript or TypeScript module of a backbone of your own, beside the recipe'),
    dim,
  }),
};

function weightsOf(channels: readonly number[]): number {
  return channels.slice(1).reduce((sum, count, index) => sum + 9 * channels[index] * count, 0);
}

export type ModelConfig = z.output<(typeof modelSchemas)[keyof typeof modelSchemas]>;
