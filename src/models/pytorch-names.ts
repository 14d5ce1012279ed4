import type * as tf from '../tf/index.js';
import type { ModelConfig } from './schema.js';
import { blocks as densenetBlocks } from './densenet.js';
import { stages as mobilenetStages } from './mobilenet.js';
import { stages as vggStages } from './vgg.js';
import { heads, perHead } from './vit.js';

/** Where a PyTorch network of the same make keeps the weights of a layer. */
export interface PytorchPlace {
  /** Name of the module, such as `layer1.0.conv1`. */
  module: string;
  /** The rows of its weight and bias that are this layer's, [start, end) of `total`; default: all. */
  rows?: { start: number; end: number; total: number };
  /** What weight and bias are multiplied by here; default 1. */
  scale?: number;
}

/** Blocks of each stage of torchvision's ResNets, and convolutions of a block. */
const resnets: Readonly<Record<string, { blocks: readonly number[]; convolutions: number }>> = {
  resnet18: { blocks: [2, 2, 2, 2], convolutions: 2 },
  resnet34: { blocks: [3, 4, 6, 3], convolutions: 2 },
  resnet50: { blocks: [3, 4, 6, 3], convolutions: 3 },
  resnet101: { blocks: [3, 4, 23, 3], convolutions: 3 },
  resnet152: { blocks: [3, 8, 36, 3], convolutions: 3 },
};

/**
 * The places of a network's layers in PyTorch's network, by name of the layer: for ResNet-18 to 152 as torchvision and timm
 * name them, for `densenet121`, `mobilenetv2` and `vgg16-bn` as torchvision does, for `vit-tiny` as timm does. Undefined for
 * other networks.
 *
 * Layers are numbered in the order in which they are made, which is that of PyTorch's modules; the two lists go side by
 * side.
 */
export function pytorchPlaces(
  { name }: Pick<ModelConfig, 'name'>,
  model: tf.LayersModel,
): ReadonlyMap<string, PytorchPlace> | undefined {
  const layers = model.layers.filter(({ weights }) => weights.length > 0).map((layer) => layer.name);
  layers.sort((a, b) => numberOf(a) - numberOf(b));
  const places = placesOf(name, layers.length);
  if (places?.length !== layers.length) return undefined;
  return new Map(layers.flatMap((layer, index) => (places[index] ? [[layer, places[index]]] : [])));
}

/** The number of a layer of a network; `features` comes last. */
function numberOf(layer: string): number {
  return Number(/\d+$/.exec(layer)?.[0] ?? Infinity);
}

type Places = readonly (PytorchPlace | undefined)[];

function placesOf(name: string, layers: number): Places | undefined {
  if (Object.hasOwn(resnets, name)) return resnetPlaces(name);
  if (name === 'densenet121') return densenetPlaces();
  if (name === 'mobilenetv2') return mobilenetPlaces();
  if (name === 'vgg16-bn') return vggPlaces();
  return name === 'vit-tiny' ? vitPlaces(layers) : undefined;
}

function named(modules: readonly string[]): Places {
  return modules.map((module) => ({ module }));
}

/** A block whose input and output differ in shape has a projection. */
function resnetPlaces(name: string): Places {
  const { blocks, convolutions } = resnets[name];
  const modules = ['conv1', 'bn1'];
  blocks.forEach((count, stage) => {
    for (let block = 0; block < count; block++) {
      const at = `layer${stage + 1}.${block}`;
      for (let index = 1; index <= convolutions; index++)
        modules.push(`${at}.conv${index}`, `${at}.bn${index}`);
      const isProjected = block === 0 && (stage > 0 || convolutions === 3);
      if (isProjected) modules.push(`${at}.downsample.0`, `${at}.downsample.1`);
    }
  });
  return named([...modules, 'fc']);
}

function densenetPlaces(): Places {
  const modules = ['conv0', 'norm0'];
  densenetBlocks.forEach((count, index) => {
    const block = index + 1;
    for (let layer = 1; layer <= count; layer++)
      for (const part of ['norm1', 'conv1', 'norm2', 'conv2'])
        modules.push(`denseblock${block}.denselayer${layer}.${part}`);
    if (block < densenetBlocks.length) modules.push(`transition${block}.norm`, `transition${block}.conv`);
    else modules.push(`norm${block + 1}`);
  });
  return named([...modules.map((module) => `features.${module}`), 'classifier']);
}

/** A block that does not expand its channels has no first convolution. */
function mobilenetPlaces(): Places {
  const modules = ['0.0', '0.1'];
  let block = 1;
  for (const [expansion, , count] of mobilenetStages)
    for (let index = 0; index < count; index++, block++) {
      const parts = expansion === 1 ? ['0.0', '0.1', '1', '2'] : ['0.0', '0.1', '1.0', '1.1', '2', '3'];
      for (const part of parts) modules.push(`${block}.conv.${part}`);
    }
  modules.push(`${block}.0`, `${block}.1`);
  return named([...modules.map((module) => `features.${module}`), 'classifier.1']);
}

/** Convolution, batch norm and activation count as three modules, a pool as one. */
function vggPlaces(): Places {
  const modules: string[] = [];
  let next = 0;
  for (const stage of vggStages) {
    for (let index = 0; index < stage.length; index++, next += 3)
      modules.push(`features.${next}`, `features.${next + 1}`);
    next++;
  }
  return named([...modules, 'classifier.6']);
}

const width = heads * perHead;
/** Layers with weights outside of the blocks, and in each. */
const outside = 4;
const inBlock = 3 * heads + 5;

/**
 * timm's attention has queries, keys and values of all heads in one matrix, and divides by the root of a head's size, which
 * `vit-tiny` has in the weights of its queries. The filter that tells tokens their places has no counterpart.
 */
function vitPlaces(layers: number): Places {
  const places: (PytorchPlace | undefined)[] = [{ module: 'patch_embed.proj' }, undefined];
  for (let block = 0; block < (layers - outside) / inBlock; block++) {
    const at = `blocks.${block}`;
    places.push({ module: `${at}.norm1` });
    for (let head = 0; head < heads; head++) {
      for (let part = 0; part < 3; part++) {
        const start = part * width + head * perHead;
        const rows = { start, end: start + perHead, total: 3 * width };
        const scale = part === 0 ? 1 / Math.sqrt(perHead) : 1;
        places.push({ module: `${at}.attn.qkv`, rows, scale });
      }
    }
    for (const module of ['attn.proj', 'norm2', 'mlp.fc1', 'mlp.fc2'])
      places.push({ module: `${at}.${module}` });
  }
  return [...places, { module: 'norm' }, { module: 'head' }];
}
