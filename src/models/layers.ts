import * as tf from '../tf/index.js';
import { randomStream } from '../util/random.js';

/** Epsilon added to batch-norm variances, as in the reference networks. */
export const batchNormEpsilon = 1e-5;

/** How the first layers treat the image. */
export type Stem = '3x3' | 'imagenet';

/**
 * Makes the layers of one network: each with a name of its own and He-normal weights (arXiv 1502.01852) from
 * (seed, index of the layer).
 *
 * Padding is TensorFlow's `same`: where a stride of 2 meets an even size, the border is on the right and bottom alone.
 */
export class LayerMaker {
  private made = 0;

  constructor(private readonly seed: number) {}

  convolution(filters: number, kernelSize: number, strides: number, useBias = false): tf.layers.Layer {
    return tf.layers.conv2d({
      name: this.name('conv'),
      filters,
      kernelSize,
      strides,
      padding: 'same',
      useBias,
      kernelInitializer: this.initializer(),
    });
  }

  /** A 3x3 filter a channel; its fan-in is 9, whatever the number of channels. */
  depthwise(strides: number): tf.layers.Layer {
    return tf.layers.depthwiseConv2d({
      name: this.name('depthwise'),
      kernelSize: 3,
      strides,
      padding: 'same',
      useBias: false,
      depthwiseInitializer: tf.initializers.truncatedNormal({
        stddev: Math.sqrt(2 / 9) / truncatedDeviation,
        seed: this.layerSeed(),
      }),
    });
  }

  batchNorm(): tf.layers.Layer {
    return tf.layers.batchNormalization({ name: this.name('bn'), axis: -1, epsilon: batchNormEpsilon });
  }

  /** max(0, x), or min(max(0, x), limit). */
  relu(limit?: number): tf.layers.Layer {
    return tf.layers.reLU({ name: this.name('relu'), maxValue: limit });
  }

  add(): tf.layers.Layer {
    return tf.layers.add({ name: this.name('add') });
  }

  concatenate(): tf.layers.Layer {
    return tf.layers.concatenate({ name: this.name('concat'), axis: -1 });
  }

  maxPool(poolSize: number, strides: number): tf.layers.Layer {
    return tf.layers.maxPooling2d({ name: this.name('pool'), poolSize, strides, padding: 'same' });
  }

  averagePool(size: number): tf.layers.Layer {
    return tf.layers.averagePooling2d({ name: this.name('pool'), poolSize: size, strides: size });
  }

  globalAverage(): tf.layers.Layer {
    return tf.layers.globalAveragePooling2d({ name: this.name('pool'), dataFormat: 'channelsLast' });
  }

  /** The linear layer that ends every backbone. */
  features(dim: number): tf.layers.Layer {
    return tf.layers.dense({
      name: 'features',
      units: dim,
      useBias: true,
      kernelInitializer: this.initializer(),
    });
  }

  private name(kind: string): string {
    return `${kind}${++this.made}`;
  }

  private initializer() {
    return tf.initializers.heNormal({ seed: this.layerSeed() });
  }

  private layerSeed(): number {
    return randomStream(this.seed, this.made).below(2 ** 31 - 1);
  }
}

/** Standard deviation of a standard normal number cut off at two deviations. */
const truncatedDeviation = 0.8796256610342398;

/** Applies layers one after another. */
export function chain(input: tf.SymbolicTensor, ...layers: tf.layers.Layer[]): tf.SymbolicTensor {
  return layers.reduce((value, layer) => layer.apply(value) as tf.SymbolicTensor, input);
}

/** A convolution without bias, batch norm, ReLU. */
export function convolutionBlock(
  make: LayerMaker,
  input: tf.SymbolicTensor,
  [filters, kernelSize, strides]: readonly [filters: number, kernelSize: number, strides: number],
): tf.SymbolicTensor {
  return chain(input, make.convolution(filters, kernelSize, strides), make.batchNorm(), make.relu());
}

/**
 * The first layers of ResNet and DenseNet, 64 channels: one 3x3 convolution that keeps the size, or ImageNet's 7x7
 * convolution and 3x3 max-pool with stride 2 each.
 */
export function stemLayers(make: LayerMaker, input: tf.SymbolicTensor, stem: Stem): tf.SymbolicTensor {
  if (stem === '3x3') return convolutionBlock(make, input, [64, 3, 1]);
  return chain(convolutionBlock(make, input, [64, 7, 2]), make.maxPool(3, 2));
}

/** Number of channels of a value. */
export function channelsOf(value: tf.SymbolicTensor): number {
  return value.shape[value.shape.length - 1] as number;
}
