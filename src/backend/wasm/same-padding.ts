import * as tf from '../../tf/index.js';
import { convolutionGeometry, type ConvolutionAttributes } from './geometry.js';

/**
 * Gives convolutions their `same` padding in numbers. Left to find it out, the wasm backend is wrong where a stride
 * skips the last rows of the input, as a 1x1 convolution of stride 2 does on every even size.
 */
export function correctSamePadding(backendName: string): void {
  for (const kernelName of ['Conv2D', 'FusedConv2D', 'DepthwiseConv2dNative', 'FusedDepthwiseConv2D']) {
    const shipped = tf.getKernel(kernelName, backendName);
    const depthwise = kernelName.includes('Depthwise');
    tf.unregisterKernel(kernelName, backendName);
    tf.registerKernel({
      ...shipped,
      setupFunc: undefined,
      kernelFunc: (call) => {
        const attributes = call.attrs as unknown as ConvolutionAttributes;
        if (attributes.pad !== 'same') return shipped.kernelFunc(call);
        const { x, filter } = call.inputs as Record<string, tf.TensorInfo>;
        const { padInfo } = convolutionGeometry(x.shape, filter.shape, attributes, depthwise);
        const { top, bottom, left, right } = padInfo;
        const pad = [
          [0, 0],
          [top, bottom],
          [left, right],
          [0, 0],
        ];
        return shipped.kernelFunc({ ...call, attrs: { ...call.attrs, pad } });
      },
    });
  }
}
