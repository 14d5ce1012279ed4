import * as tf from '../tf/index.js';
import { resolve } from 'node:path';
import type { ModelConfig } from './schema.js';
import { messageOf, UserError } from '../util/errors.js';
import { importModule, readModule } from '../util/user-module.js';
import { ForwardPass } from './forward.js';
import type { ModelOptions } from './options.js';

type CustomConfig = Extract<ModelConfig, { name: 'module' }>;

/** Options that the default export of a backbone module is called with. */
export interface BackboneOptions extends ModelOptions {
  /** The TensorFlow.js that trains; a copy imported by the module itself would not share its tensors. */
  tf: typeof tf;
  /** Feature dimension: the model's output is [b, dim]. */
  dim: number;
}

/** Default export of a backbone module; equal options must give equal initial weights. */
export type Backbone = (options: BackboneOptions) => tf.LayersModel | Promise<tf.LayersModel>;

/** Layers that draw random numbers in training, by class name, besides dropout (`Dropout`). */
const randomLayers = new Set(['SpatialDropout1D', 'GaussianNoise', 'GaussianDropout', 'AlphaDropout']);

/**
 * Builds the user's own backbone: the module at `config.path` (absolute, or relative to the current folder) exports a
 * `Backbone`.
 *
 * @throws UserError `MODEL_NOT_FOUND`, or `MODEL_INVALID` for a module or model that does not fit, saying what to change
 */
export async function customModel(config: CustomConfig, options: BackboneOptions): Promise<tf.LayersModel> {
  const file = resolve(config.path);
  if (!readModule(file, 'MODEL_NOT_FOUND'))
    throw new UserError('MODEL_NOT_FOUND', `no module ${file}: model.path names a .js, .mjs or .ts file`);
  const { default: backbone } = await importModule(file, 'MODEL_INVALID');
  if (typeof backbone !== 'function')
    throw new UserError(
      'MODEL_INVALID',
      `${file}: its default export must be a function of ({ tf, shape, dim, seed }) that returns a tf.LayersModel`,
    );
  return buildOwn(file, () => (backbone as Backbone)(options), options);
}

/**
 * Builds a backbone of a user, and checks that it fits; `who` names it in errors.
 *
 * @throws UserError `MODEL_INVALID`, saying what to change
 */
export async function buildOwn(
  who: string,
  build: () => unknown,
  options: BackboneOptions,
): Promise<tf.LayersModel> {
  let model: unknown;
  try {
    model = await build();
  } catch (error) {
    throw new UserError('MODEL_INVALID', `${who}: its function failed: ${messageOf(error)}`);
  }
  if (model instanceof tf.Sequential) model = tf.model({ inputs: model.inputs, outputs: model.outputs });
  checkModel(who, model, options);
  return model;
}

function checkModel(
  who: string,
  model: unknown,
  { shape, dim }: BackboneOptions,
): asserts model is tf.LayersModel {
  const invalid = (what: string) => new UserError('MODEL_INVALID', `${who}: ${what}`);
  if (!(model instanceof tf.LayersModel)) {
    throw invalid('it must return a tf.LayersModel made with the tf that it is given');
  }
  const input = model.inputs.map((one) => one.shape.slice(1).join('x')).join(' and ');
  if (input !== shape.join('x')) throw invalid(`its input is ${input}, images are ${shape.join('x')}`);
  const output = model.outputs.map((one) => one.shape.slice(1).join('x')).join(' and ');
  if (output !== String(dim)) throw invalid(`its output is ${output}, model.dim is ${dim}`);
  for (const layer of model.layers) {
    const kind = layer.getClassName();
    if (randomLayers.has(kind)) {
      throw invalid(
        `layer ${layer.name} (${kind}) draws random numbers, which differ with the number of workers`,
      );
    }
    if (layer instanceof tf.LayersModel)
      throw invalid(`${layer.name} is a model within the model: list its layers`);
    if (kind === 'Dropout' && (layer.getConfig().noiseShape ?? undefined) !== undefined)
      throw invalid(`dropout ${layer.name} has a noiseShape: leave it out`);
    if (kind === 'BatchNormalization' && !layer.trainable)
      throw invalid(`batch norm ${layer.name} must be trainable`);
  }
  try {
    new ForwardPass(model);
  } catch (error) {
    throw invalid(messageOf(error));
  }
}
