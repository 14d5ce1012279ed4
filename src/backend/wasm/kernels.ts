import * as tf from '@tensorflow/tfjs';
import { convolutionFilterGradient } from './convolution-filter-gradient.js';
import type { ConvolutionAttributes } from './geometry.js';
import { correctMaxPoolGradient } from './max-pool-gradient.js';
import { unsortedSegmentSum } from './segment-sum.js';

const backendName = 'wasm';
let registered = false;

/** Registers what the wasm backend lacks for training, and replaces what is wrong in it. */
export function registerTrainingKernels(): void {
  if (registered) return;
  registered = true;
  register('Conv2DBackpropFilter', (inputs, attributes) =>
    convolutionFilterGradient(inputs as never, attributes as unknown as ConvolutionAttributes),
  );
  register('UnsortedSegmentSum', (inputs, attributes) =>
    unsortedSegmentSum(inputs as never, attributes as never),
  );
  correctMaxPoolGradient(backendName);
}

function register(
  kernelName: string,
  compute: (inputs: tf.NamedTensorMap, attributes: tf.NamedAttrMap) => tf.Tensor,
): void {
  const kernelFunc: tf.KernelFunc = ({ inputs, attrs }) => compute(inputs as tf.NamedTensorMap, attrs ?? {});
  tf.registerKernel({ kernelName, backendName, kernelFunc });
}
