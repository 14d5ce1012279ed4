import * as tf from '../tf/index.js';
import { randomStream } from '../util/random.js';
import type { MakerConfig } from './schema.js';

/** Epsilon added to batch-norm variances, as in the reference networks. */
export const batchNormEpsilon = 1e-5;

/** How the first layers treat the image. */
export type Stem = '3x3' | 'imagenet';

/**
 * Makes the layers of one network: each with a name of its own, and initial weights from (seed, index of the layer).
 *
 * `he`: normal, with a variance of 2 / fan in (arXiv 1502.01852), biases 0. `pytorch`: uniform in +-1/sqrt(fan in), a
 * sixth of that variance, biases too.
 *
 * Padding is TensorFlow's `same`, whose border is on the right and bottom alone where a stride of 2 meets an even size, or
 * PyTorch's, which is the same on all sides.
 */
export class LayerMaker {
  private made = 0;

  constructor(
    private readonly config: MakerConfig,
    private readonly seed: number,
  ) {}

  /** Without a bias, unless the value that it reads is given, whose channels the bias's initial values depend on. */
  convolution(
    filters: number,
    kernelSize: number,
    strides: number,
    biasOver?: tf.SymbolicTensor,
  ): tf.layers.Layer[] {
    const name = this.name('conv');
    return this.padded(name, kernelSize, strides, (padding) =>
      tf.layers.conv2d({
        name,
        filters,
        kernelSize,
        strides,
        padding,
        kernelInitializer: this.initializer(),
        ...this.bias(biasOver && kernelSize ** 2 * channelsOf(biasOver)),
      }),
    );
  }

  /** A 3x3 filter a channel; its fan-in is 9, whatever the number of channels. */
  depthwise(strides: number): tf.layers.Layer[] {
    const name = this.name('depthwise');
    const seed = this.layerSeed();
    const stddev = Math.sqrt(2 / 9) / truncatedDeviation;
    const depthwiseInitializer =
      this.config.init === 'pytorch'
        ? this.uniform(9, seed)
        : tf.initializers.truncatedNormal({ stddev, seed });
    return this.padded(name, 3, strides, (padding) =>
      tf.layers.depthwiseConv2d({
        name,
        kernelSize: 3,
        strides,
        padding,
        useBias: false,
        depthwiseInitializer,
      }),
    );
  }

  /** With a scale and an offset a channel, unless `affine` is false. */
  batchNorm(affine = true): tf.layers.Layer {
    const name = this.name('bn');
    const epsilon = batchNormEpsilon;
    return tf.layers.batchNormalization({ name, axis: -1, epsilon, scale: affine, center: affine });
  }

  /** max(0, x) + a min(0, x) with one trained slope a for all of an image's numbers, which has `axes`; a starts at 1/4. */
  prelu(axes: 1 | 3): tf.layers.Layer {
    const alphaInitializer = tf.initializers.constant({ value: 0.25 });
    const sharedAxes = axes === 1 ? [1] : [1, 2, 3];
    return tf.layers.prelu({ name: this.name('prelu'), alphaInitializer, sharedAxes });
  }

  sigmoid(): tf.layers.Layer {
    return tf.layers.activation({ name: this.name('sigmoid'), activation: 'sigmoid' });
  }

  dropout(rate: number): tf.layers.Layer {
    return tf.layers.dropout({ name: this.name('dropout'), rate });
  }

  flatten(): tf.layers.Layer {
    return tf.layers.flatten({ name: this.name('flatten') });
  }

  reshape(targetShape: number[]): tf.layers.Layer {
    return tf.layers.reshape({ name: this.name('reshape'), targetShape });
  }

  multiply(): tf.layers.Layer {
    return tf.layers.multiply({ name: this.name('multiply') });
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

  /** Of values that are not negative, so that a border of zeros counts for nothing. */
  maxPool(poolSize: number, strides: number): tf.layers.Layer[] {
    const name = this.name('pool');
    return this.padded(name, poolSize, strides, (padding) =>
      tf.layers.maxPooling2d({ name, poolSize, strides, padding }),
    );
  }

  averagePool(size: number): tf.layers.Layer {
    return tf.layers.averagePooling2d({ name: this.name('pool'), poolSize: size, strides: size });
  }

  globalAverage(): tf.layers.Layer {
    return tf.layers.globalAveragePooling2d({ name: this.name('pool'), dataFormat: 'channelsLast' });
  }

  /** A linear layer of a value of `inputs` channels: `features` ends every backbone. Initial weights are times `scale`. */
  dense(units: number, inputs: number, name = this.name('dense'), scale = 1): tf.layers.Layer {
    const kernelInitializer = this.initializer(scale);
    return tf.layers.dense({ name, units, kernelInitializer, ...this.bias(inputs) });
  }

  /** A convolution whose windows lie side by side, of an image that they fill. */
  patches(filters: number, size: number, biasOver: tf.SymbolicTensor): tf.layers.Layer {
    const kernelInitializer = this.initializer();
    return tf.layers.conv2d({
      name: this.name('conv'),
      filters,
      kernelSize: size,
      strides: size,
      padding: 'valid',
      kernelInitializer,
      ...this.bias(size ** 2 * channelsOf(biasOver)),
    });
  }

  layerNorm(): tf.layers.Layer {
    return tf.layers.layerNormalization({ name: this.name('norm'), epsilon: 1e-6 });
  }

  gelu(): tf.layers.Layer {
    return tf.layers.activation({ name: this.name('gelu'), activation: 'gelu' });
  }

  softmax(): tf.layers.Layer {
    return tf.layers.activation({ name: this.name('softmax'), activation: 'softmax' });
  }

  /** Products of the matrices of two values, over these axes. */
  products(axes: [number, number]): tf.layers.Layer {
    return tf.layers.dot({ name: this.name('dot'), axes });
  }

  /** The mean of a sequence. */
  averageToken(): tf.layers.Layer {
    return tf.layers.globalAveragePooling1d({ name: this.name('pool') });
  }

  /**
   * A layer of windows, after a border of zeros where TensorFlow's `same` would be another one than PyTorch's: half a
   * window, less a half, on every side. With a stride of 1 and odd windows both are the same.
   */
  private padded(
    name: string,
    window: number,
    strides: number,
    layer: (padding: 'same' | 'valid') => tf.layers.Layer,
  ): tf.layers.Layer[] {
    if (this.config.padding !== 'pytorch' || strides === 1) return [layer('same')];
    const border = (window - 1) >> 1;
    if (border === 0) return [layer('valid')];
    return [tf.layers.zeroPadding2d({ name: `${name}_border`, padding: border }), layer('valid')];
  }

  private name(kind: string): string {
    return `${kind}${++this.made}`;
  }

  private initializer(scale = 1) {
    const seed = this.layerSeed();
    const settings = { mode: 'fanIn', seed } as const;
    if (this.config.init === 'pytorch')
      return tf.initializers.varianceScaling({ ...settings, scale: scale ** 2 / 3, distribution: 'uniform' });
    if (scale === 1) return tf.initializers.heNormal({ seed });
    return tf.initializers.varianceScaling({
      ...settings,
      scale: 2 * scale ** 2,
      distribution: 'truncatedNormal',
    });
  }

  private bias(fanIn: number | undefined) {
    if (fanIn === undefined) return { useBias: false };
    if (this.config.init !== 'pytorch') return { useBias: true };
    return { useBias: true, biasInitializer: this.uniform(fanIn, this.layerSeed(1)) };
  }

  private uniform(fanIn: number, seed: number) {
    const limit = 1 / Math.sqrt(fanIn);
    return tf.initializers.randomUniform({ minval: -limit, maxval: limit, seed });
  }

  private layerSeed(...of: number[]): number {
    return randomStream(this.seed, this.made, ...of).below(2 ** 31 - 1);
  }
}

/** Standard deviation of a standard normal number cut off at two deviations. */
const truncatedDeviation = 0.8796256610342398;

/** Applies layers one after another. */
export function chain(
  input: tf.SymbolicTensor,
  ...layers: (tf.layers.Layer | tf.layers.Layer[])[]
): tf.SymbolicTensor {
  return layers.flat().reduce((value, layer) => layer.apply(value) as tf.SymbolicTensor, input);
}

/** A convolution without bias, batch norm, an activation: ReLU where none is given. */
export function convolutionBlock(
  make: LayerMaker,
  input: tf.SymbolicTensor,
  [filters, kernelSize, strides]: readonly [filters: number, kernelSize: number, strides: number],
  activation?: tf.layers.Layer,
): tf.SymbolicTensor {
  const layers = [...make.convolution(filters, kernelSize, strides), make.batchNorm()];
  return chain(input, ...layers, activation ?? make.relu());
}

/**
 * The first layers of ResNet and DenseNet, 64 channels: one 3x3 convolution that keeps the size, or ImageNet's 7x7
 * convolution and 3x3 max-pool with stride 2 each.
 */
export function stemLayers(make: LayerMaker, input: tf.SymbolicTensor, stem: Stem): tf.SymbolicTensor {
  if (stem === '3x3') return convolutionBlock(make, input, [64, 3, 1]);
  return chain(convolutionBlock(make, input, [64, 7, 2]), make.maxPool(3, 2));
}

/** The end of most backbones: the mean over height and width, a linear layer to `dim`. */
export function featureLayers(make: LayerMaker, value: tf.SymbolicTensor, dim: number): tf.SymbolicTensor {
  return chain(value, make.globalAverage(), make.dense(dim, channelsOf(value), 'features'));
}

/** Number of channels of a value. */
export function channelsOf(value: tf.SymbolicTensor): number {
  return value.shape[value.shape.length - 1] as number;
}
