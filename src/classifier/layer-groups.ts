import type * as tf from '../tf/index.js';
import type { Config } from '../config/schema.js';
import { meansLayer } from '../models/layer-patterns.js';
import { pytorchPlaces } from '../models/pytorch-names.js';
import type { ParameterGroup } from '../parallel/parameters.js';
import { UserError } from '../util/errors.js';
import { present } from '../util/present.js';

/** What patterns call the weights of the classes, where the loss trains such. */
export const classLayer = 'classes';

/** Layers that an error names, at most. */
const mostShown = 20;

/**
 * How each layer of a network is trained, by the `freeze` and `rates` of a recipe: its name there is that in TensorFlow.js,
 * or that of the module in PyTorch's network of the same make.
 */
export class LayerGroups {
  private readonly groups = new Map<string, ParameterGroup>();

  /** @throws UserError `CONFIG_INVALID` for a pattern that no layer matches, and where nothing is left to be trained */
  constructor(
    model: tf.LayersModel,
    { model: about, freeze, rates }: Pick<Config, 'model' | 'freeze' | 'rates'>,
    { classWeights }: { classWeights: boolean },
  ) {
    if (freeze.length === 0 && rates.length === 0) return;
    const places = pytorchPlaces(about, model);
    const own = model.layers.filter(({ weights }) => weights.length > 0).map(({ name }) => name);
    const layers = [...own, ...(classWeights ? [classLayer] : [])].map((layer) => {
      const module = places?.get(layer)?.module;
      return { layer, names: module === undefined ? [layer] : [layer, module] };
    });
    const all = new Set(layers.map(({ layer }) => layer));
    for (const one of layers) {
      const frozen = freeze.some((pattern) => meansLayer(pattern, one, all));
      const { factor = 1 } = rates.find(({ match }) => meansLayer(match, one, all)) ?? {};
      this.groups.set(one.layer, { frozen, factor });
    }
    const patterns = [...freeze.map((one) => ['freeze', one]), ...rates.map(({ match }) => ['rates', match])];
    for (const [key, pattern = ''] of patterns) {
      if (layers.some((one) => meansLayer(pattern, one, all))) continue;
      const shown = layers.slice(0, mostShown).map(({ names }) => names.at(-1));
      throw new UserError(
        'CONFIG_INVALID',
        `${key}: no layer of ${about.name} is called ${pattern}; its layers are ${shown.join(', ')}${layers.length > mostShown ? ', ...' : ''}`,
      );
    }
    if ([...this.groups.values()].every(({ frozen }) => frozen))
      throw new UserError('CONFIG_INVALID', `freeze leaves nothing of ${about.name} to be trained`);
  }

  of(layer: string): ParameterGroup {
    return this.groups.get(layer) ?? { frozen: false, factor: 1 };
  }

  /** The group of a variable of the network. */
  byVariable(model: tf.LayersModel): (variable: tf.Variable) => ParameterGroup {
    const layers = new Map(
      model.layers.flatMap((layer) =>
        layer.trainableWeights.map((weight) => [weight.read() as tf.Variable, layer.name] as const),
      ),
    );
    return (variable) => this.of(present(layers.get(variable), 'the layer of a variable'));
  }
}
