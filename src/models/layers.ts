import * as tf from '@tensorflow/tfjs';
import { stream } from '../random.js';

/** Epsilon added to batch-norm variances, as in the reference networks. */
export const batchNormEpsilon = 1e-5;

/**
 * Makes the layers of one network: each with a name of its own and He-normal weights (arXiv 1502.01852) from
 * (seed, index of the layer).
 */
export class LayerMaker {
  private made = 0;

  constructor(private readonly seed: number) {}

  convolution(filters: number, kernelSize: number, strides: number, useBias: boolean): tf.layers.Layer {
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

  batchNorm(): tf.layers.Layer {
    return tf.layers.batchNormalization({ name: this.name('bn'), axis: -1, epsilon: batchNormEpsilon });
  }

  relu(): tf.layers.Layer {
    return tf.layers.reLU({ name: this.name('relu') });
  }

  add(): tf.layers.Layer {
    return tf.layers.add({ name: this.name('add') });
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
    return tf.initializers.heNormal({ seed: stream(this.seed, this.made).below(2 ** 31 - 1) });
  }
}

/** Applies layers one after another. */
export function chain(input: tf.SymbolicTensor, ...layers: tf.layers.Layer[]): tf.SymbolicTensor {
  return layers.reduce((value, layer) => layer.apply(value) as tf.SymbolicTensor, input);
}
