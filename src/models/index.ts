import { tf } from '../tf/deferred.js';
import type * as library from '../tf/index.js';
import type { z } from 'zod';
import { isFunction, namesOf, Registry, type Kind } from '../util/registry.js';
import type { BackboneOptions } from './custom.js';
import type { ModelOptions } from './options.js';
import { modelSchemas, type ModelConfig } from './schema.js';

export type { Backbone, BackboneOptions } from './custom.js';

/** A backbone, or a family of them: its names, its settings and how to build it. */
export interface BackboneKind<Schema extends z.ZodObject = z.ZodObject> extends Kind<Schema> {
  /**
   * The model, images [b, height, width, channels] to features [b, dim]. Equal settings and options must give equal
   * initial weights on every rank and backend.
   */
  build(
    config: z.output<Schema>,
    options: BackboneOptions,
  ): library.LayersModel | Promise<library.LayersModel>;
}

/** Keeps the type of a backbone's settings from its schema to `build`. */
function define<Schema extends z.ZodObject>(kind: BackboneKind<Schema>): BackboneKind<Schema> {
  return kind;
}

const {
  smallCnn,
  resnet9,
  cifarResnet,
  resnet,
  resnetFace18,
  vgg16,
  densenet121,
  mobilenetV2,
  vitTiny,
  module,
} = modelSchemas;

const builtIn = [
  define({
    name: 'small-cnn',
    schema: smallCnn,
    build: async (config, options) => (await import('./small-cnn.js')).smallCnn(config, options),
  }),
  define({
    name: 'resnet9',
    schema: resnet9,
    build: async (config, options) => (await import('./resnet9.js')).resnet9(config, options),
  }),
  define({
    name: cifarResnet.shape.name.options,
    schema: cifarResnet,
    build: async (config, options) => (await import('./resnet.js')).cifarResnet(config, options),
  }),
  define({
    name: resnet.shape.name.options,
    schema: resnet,
    build: async (config, options) => (await import('./resnet.js')).resnet(config, options),
  }),
  define({
    name: 'resnet-face18',
    schema: resnetFace18,
    build: async (config, options) => (await import('./resnet-face.js')).resnetFace18(config, options),
  }),
  define({
    name: 'vgg16-bn',
    schema: vgg16,
    build: async (config, options) => (await import('./vgg.js')).vgg16(config, options),
  }),
  define({
    name: 'densenet121',
    schema: densenet121,
    build: async (config, options) => (await import('./densenet.js')).densenet121(config, options),
  }),
  define({
    name: 'mobilenetv2',
    schema: mobilenetV2,
    build: async (config, options) => (await import('./mobilenet.js')).mobilenetV2(config, options),
  }),
  define({
    name: 'vit-tiny',
    schema: vitTiny,
    build: async (config, options) => (await import('./vit.js')).vitTiny(config, options),
  }),
  define({
    name: 'module',
    schema: module,
    build: async (config, options) => (await import('./custom.js')).customModel(config, options),
  }),
] as const;

/** Every backbone. */
export const models = new Registry<BackboneKind, typeof builtIn>({
  what: 'backbone',
  description: 'backbone, a linear layer to d dimensions at its end',
  builtIn,
  settings: { names: ['dim'], advice: 'dim is the number of features, such as z.int().min(2).default(128)' },
  rules: [isFunction('build', '(config, { tf, shape, dim, seed }) that returns a tf.LayersModel')],
});

/** Names of the backbones that ship with pod-dist. */
export const modelNames: readonly string[] = builtIn.flatMap(namesOf).filter((name) => name !== 'module');

/**
 * The backbone that a recipe names: images [b, height, width, channels] to features [b, dim], a linear layer last.
 * Its initial weights depend on the seed alone, not on the backend.
 *
 * @throws UserError `MODEL_INVALID` for one that does not fit
 */
export async function buildModel(config: ModelConfig, options: ModelOptions): Promise<library.LayersModel> {
  const { buildOwn } = await import('./custom.js');
  const { name, dim } = config;
  const all = { tf, ...options, dim };
  const build = () => models.find(name)?.build(config, all);
  if (models.originOf(name) !== undefined) return buildOwn(`backbone ${name}`, build, all);
  return (await build()) as library.LayersModel;
}
