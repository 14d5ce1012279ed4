import { z } from 'zod';
import { count } from './primitives.js';

const dim = z.int().min(2).describe('feature dimension d');
const stem = z
  .enum(['3x3', 'imagenet'])
  .default('3x3')
  .describe('first layers: 3x3 keeps small images large, imagenet shrinks them early');

export const modelSchema = z
  .discriminatedUnion('name', [
    z.strictObject({
      name: z.literal('small-cnn'),
      dim: dim.default(128),
      channels: z.array(count).min(1).default([32, 64, 128]).describe('a 3x3 convolution each'),
      strides: z.array(count).min(1).default([1, 2, 2]).describe('of each convolution'),
      batchNorm: z.boolean().default(false).describe('after each convolution'),
    }),
    z.strictObject({
      name: z.literal('resnet9'),
      dim: dim.default(256),
      width: count.default(64).describe('channels of the first convolution'),
    }),
    z.strictObject({ name: z.enum(['resnet20', 'resnet56']), dim: dim.default(256) }),
    z.strictObject({
      name: z.enum(['resnet18', 'resnet34', 'resnet50', 'resnet101']),
      dim: dim.default(256),
      stem,
    }),
    z.strictObject({ name: z.literal('vgg16-bn'), dim: dim.default(256) }),
    z.strictObject({ name: z.literal('densenet121'), dim: dim.default(256), stem }),
    z.strictObject({ name: z.literal('mobilenetv2'), dim: dim.default(256), stem }),
    z.strictObject({
      name: z.literal('module'),
      path: z
        .string()
        .min(1)
        .describe('JavaScript or TypeScript module of a backbone of your own, beside the recipe'),
      dim,
    }),
  ])
  .describe('backbone, a linear layer to d dimensions at its end');

/** Names of the backbones that ship with pod-dist. */
export const modelNames: readonly string[] = modelSchema.options
  .flatMap(({ shape: { name } }) => ('values' in name ? [...name.values] : name.options))
  .filter((name) => name !== 'module');

export type ModelConfig = z.output<typeof modelSchema>;
