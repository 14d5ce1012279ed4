import type * as tf from '../tf/index.js';
import type { ModelConfig } from './schema.js';
import { customModel } from './custom.js';
import { densenet121 } from './densenet.js';
import { mobilenetV2 } from './mobilenet.js';
import type { ModelOptions } from './options.js';
import { cifarResnet, resnet } from './resnet.js';
import { resnet9 } from './resnet9.js';
import { smallCnn } from './small-cnn.js';
import { vgg16 } from './vgg.js';

export type { Backbone, BackboneOptions } from './custom.js';

/**
 * The backbone that a recipe names: images [b, height, width, channels] to features [b, dim], a linear layer last.
 * Its initial weights depend on the seed alone, not on the backend.
 */
export async function buildModel(config: ModelConfig, options: ModelOptions): Promise<tf.LayersModel> {
  switch (config.name) {
    case 'small-cnn':
      return smallCnn(config, options);
    case 'resnet9':
      return resnet9(config, options);
    case 'resnet20':
    case 'resnet56':
      return cifarResnet(config, options);
    case 'resnet18':
    case 'resnet34':
    case 'resnet50':
    case 'resnet101':
      return resnet(config, options);
    case 'vgg16-bn':
      return vgg16(config, options);
    case 'densenet121':
      return densenet121(config, options);
    case 'mobilenetv2':
      return mobilenetV2(config, options);
    case 'module':
      return customModel(config, options);
  }
}
