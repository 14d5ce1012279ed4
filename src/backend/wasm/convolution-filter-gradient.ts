import * as tf from '@tensorflow/tfjs';
import { convolutionGeometry, type ConvolutionAttributes } from './geometry.js';

interface Inputs {
  x: tf.Tensor4D;
  dy: tf.Tensor4D;
}

/**
 * Gradient of a convolution with respect to its filter, which the wasm backend lacks.
 *
 *     dW[i, j, c, o] = sum over b, y, x of X[b, y s + i - top, x s + j - left, c] dY[b, y, x, o]
 *
 * is itself a convolution: the input transposed to [C, H, W, B] is convolved with dY transposed to [oh, ow, B, O] as
 * the filter, its dilation the stride s, giving [C, kh, kw, O]. A 1x1 convolution of stride 1 is a matrix product.
 */
export function convolutionFilterGradient({ x, dy }: Inputs, attributes: ConvolutionAttributes): tf.Tensor4D {
  const geometry = convolutionGeometry(x.shape, attributes.filterShape as number[], attributes);
  const { filterHeight, filterWidth, strideHeight, strideWidth, outHeight, outWidth, inHeight, inWidth } =
    geometry;
  const { inChannels, outChannels, batchSize, padInfo } = geometry;
  return tf.tidy(() => {
    if (
      filterHeight === 1 &&
      filterWidth === 1 &&
      strideHeight === 1 &&
      strideWidth === 1 &&
      padInfo.type === 'VALID'
    ) {
      const rows = batchSize * outHeight * outWidth;
      const left = tf.transpose(tf.reshape(x, [rows, inChannels]));
      return tf.reshape(tf.matMul(left, tf.reshape(dy, [rows, outChannels])), [
        1,
        1,
        inChannels,
        outChannels,
      ]);
    }
    const bottom = (outHeight - 1) * strideHeight + filterHeight - inHeight - padInfo.top;
    const right = (outWidth - 1) * strideWidth + filterWidth - inWidth - padInfo.left;
    const used = tf.slice(
      x,
      [0, 0, 0, 0],
      [batchSize, inHeight + Math.min(bottom, 0), inWidth + Math.min(right, 0), inChannels],
    );
    const gradient = tf.engine().runKernel(
      'Conv2D',
      { x: tf.transpose(used, [3, 1, 2, 0]), filter: tf.transpose(dy, [1, 2, 0, 3]) },
      {
        strides: [1, 1],
        pad: [
          [0, 0],
          [padInfo.top, Math.max(bottom, 0)],
          [padInfo.left, Math.max(right, 0)],
          [0, 0],
        ],
        dataFormat: 'NHWC',
        dilations: [strideHeight, strideWidth],
      },
    );
    return tf.transpose(gradient as tf.Tensor4D, [1, 2, 0, 3]);
  });
}
