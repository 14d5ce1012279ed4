import * as tf from '../tf/index.js';
import { UserError } from '../util/errors.js';
import type { ModelConfig } from './schema.js';
import type { ModelOptions } from './options.js';
import { chain, LayerMaker } from './layers.js';

type VitConfig = Extract<ModelConfig, { name: 'vit-tiny' }>;

const width = 192;
export const heads = 3;
export const perHead = width / heads;
const depth = 12;

/**
 * A small vision transformer, ViT-Ti (arXiv 2010.11929 and 2012.12877): patches as tokens of 192 numbers, twelve blocks of
 * attention with three heads and of a hidden layer of 768, layer norm before each; the mean of all tokens, a linear layer to
 * `dim`.
 *
 * Tokens learn where they are from their neighbours, by a 3x3 filter a channel that is added once (conditional positions,
 * arXiv 2102.10882), so that images of any size will do. What attention is divided by, the root of a head's size, is in the
 * initial weights of its queries instead.
 */
export function vitTiny({ patch, ...config }: VitConfig, { shape, seed }: ModelOptions): tf.LayersModel {
  const [height, side] = shape;
  if (height % patch > 0 || side % patch > 0)
    throw new UserError(
      'MODEL_INVALID',
      `model.patch is ${patch}, images are ${height}x${side}: give a patch that divides both`,
    );
  const make = new LayerMaker(config, seed);
  const input = tf.input({ shape: [...shape], name: 'images' });
  const patches = chain(input, make.patches(width, patch, input));
  const placed = sum(make, patches, chain(patches, make.depthwise(1)));
  let value = chain(placed, make.reshape([(height / patch) * (side / patch), width]));
  for (let block = 0; block < depth; block++) {
    value = sum(make, value, attention(make, chain(value, make.layerNorm())));
    const hidden = chain(value, make.layerNorm(), make.dense(4 * width, width), make.gelu());
    value = sum(make, value, chain(hidden, make.dense(width, 4 * width)));
  }
  const mean = chain(value, make.layerNorm(), make.averageToken());
  const output = chain(mean, make.dense(config.dim, width, 'features'));
  return tf.model({ inputs: input, outputs: output, name: config.name });
}

function attention(make: LayerMaker, value: tf.SymbolicTensor): tf.SymbolicTensor {
  const apply = (layer: tf.layers.Layer, ...values: tf.SymbolicTensor[]) =>
    layer.apply(values) as tf.SymbolicTensor;
  const results = Array.from({ length: heads }, () => {
    const queries = chain(value, make.dense(perHead, width, undefined, 1 / Math.sqrt(perHead)));
    const keys = chain(value, make.dense(perHead, width));
    const values = chain(value, make.dense(perHead, width));
    const shares = chain(apply(make.products([2, 2]), queries, keys), make.softmax());
    return apply(make.products([2, 1]), shares, values);
  });
  return chain(apply(make.concatenate(), ...results), make.dense(width, width));
}

function sum(make: LayerMaker, a: tf.SymbolicTensor, b: tf.SymbolicTensor): tf.SymbolicTensor {
  return make.add().apply([a, b]) as tf.SymbolicTensor;
}
