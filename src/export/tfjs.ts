import * as tf from '../tf/index.js';
import { UserError } from '../util/errors.js';
import type { ExportedFile } from './files.js';
import type { Head } from './head.js';
import { inferenceModel } from './layers-model.js';
import { sameBorder } from './same-padding.js';

/** Bytes of a file of weights: browsers load several at a time, and keep what changes little. */
const shardBytes = 4 * 1024 * 1024;

/** Names of the layers that TensorFlow.js brings along, in lower case. */
const standardLayers = new Set(Object.keys(tf.layers).map((name) => name.toLowerCase()));

/**
 * `model.json` and its weights, as `tf.loadLayersModel` reads them: images [b, height, width, channels] to scores
 * [b, classes].
 *
 * @throws UserError `EXPORT_UNSUPPORTED` naming a layer that TensorFlow.js does not bring along
 */
export async function tfjsFiles(backbone: tf.LayersModel, head: Head): Promise<ExportedFile[]> {
  for (const layer of backbone.layers) {
    const kind = layer.getClassName();
    if (standardLayers.has(kind.toLowerCase())) continue;
    throw new UserError(
      'EXPORT_UNSUPPORTED',
      `layer ${layer.name} (${kind}) is none that tf.loadLayersModel knows: build the backbone of standard layers`,
    );
  }
  const model = inferenceModel(backbone, head);
  const { topology, weightSpecs, weights } = await artifacts(model);
  nameMultipliers(topology, model);
  padExplicitly(topology, model);
  const shared = new Set(backbone.weights);
  for (const weight of model.weights) if (!shared.has(weight)) weight.dispose();
  const shards = Array.from({ length: Math.ceil(weights.length / shardBytes) }, (_, index) =>
    weights.subarray(index * shardBytes, (index + 1) * shardBytes),
  );
  const names = shards.map((_, index) => `group1-shard${index + 1}of${shards.length}.bin`);
  const json = {
    format: 'layers-model',
    generatedBy: `TensorFlow.js v${tf.version_layers}`,
    convertedBy: 'pod-dist',
    modelTopology: topology,
    weightsManifest: [{ paths: names, weights: weightSpecs }],
  };
  return [
    { name: 'model.json', parts: [Buffer.from(JSON.stringify(json))] },
    ...shards.map((shard, index) => ({ name: names[index], parts: [shard] })),
  ];
}

interface LayerEntry {
  class_name: string;
  name: string;
  config: Record<string, unknown>;
  inbound_nodes: [from: string, node: number, tensor: number, settings: object][][];
}

interface Topology {
  config: { layers: LayerEntry[] };
}

async function artifacts(model: tf.LayersModel) {
  let saved: tf.io.ModelArtifacts | undefined;
  await model.save(
    tf.io.withSaveHandler(async (all) => {
      saved = all;
      return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: 'JSON' } };
    }),
  );
  const { modelTopology, weightSpecs, weightData } = saved as tf.io.ModelArtifacts;
  const buffers = Array.isArray(weightData) ? weightData : [weightData as ArrayBuffer];
  const weights = Buffer.concat(buffers.map((buffer) => new Uint8Array(buffer)));
  return { topology: modelTopology as Topology, weightSpecs, weights };
}

/** Adds the depth multiplier of separable convolutions, which their own configuration leaves out. */
function nameMultipliers(topology: Topology, model: tf.LayersModel): void {
  for (const { class_name: kind, config, name } of topology.config.layers) {
    if (kind !== 'SeparableConv2D') continue;
    const [depthwise] = model.getLayer(name).weights;
    config.depth_multiplier = depthwise.shape[3];
  }
}

/** Layers whose strides go with windows that `same` padding may place unevenly. */
const stridedKinds = new Set(['Conv2D', 'DepthwiseConv2D', 'SeparableConv2D']);

/**
 * Inserts a layer of zero padding before every strided convolution with `same` padding, which then needs none: the wasm
 * backend that browsers load computes such convolutions wrongly. Depthwise layers leave dilation out.
 */
function padExplicitly(topology: Topology, model: tf.LayersModel): void {
  topology.config.layers = topology.config.layers.flatMap((entry) => {
    const { class_name: kind, config, name } = entry;
    const strides = config.strides as [number, number] | undefined;
    const strided = stridedKinds.has(kind) && strides?.some((stride) => stride > 1);
    if (!strided || config.padding !== 'same' || config.data_format === 'channels_first') return [entry];
    const [shape] = model.getLayer(name).inboundNodes[0].inputShapes as number[][];
    const [top, bottom, left, right] = sameBorder({
      size: [shape[1], shape[2]],
      kernel: config.kernel_size as [number, number],
      strides: strides as [number, number],
      dilations: kind === 'DepthwiseConv2D' ? undefined : (config.dilation_rate as [number, number]),
    });
    config.padding = 'valid';
    if (top + bottom + left + right === 0) return [entry];
    const padding: LayerEntry = {
      class_name: 'ZeroPadding2D',
      name: `${name}_padding`,
      config: {
        name: `${name}_padding`,
        padding: [
          [top, bottom],
          [left, right],
        ],
        data_format: 'channels_last',
        trainable: true,
      },
      inbound_nodes: entry.inbound_nodes,
    };
    entry.inbound_nodes = [[[padding.name, 0, 0, {}]]];
    return [padding, entry];
  });
}
