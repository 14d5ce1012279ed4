import * as tf from '@tensorflow/tfjs';

/**
 * Corrects the wasm backend's max-pool gradient, which starts its search from the smallest positive float and so
 * loses windows without a positive value. Adding one constant to every input keeps each window's maximum where it is;
 * the shift makes all of them positive.
 */
export function correctMaxPoolGradient(backendName: string): void {
  const shipped = tf.getKernel('MaxPoolGrad', backendName);
  tf.unregisterKernel('MaxPoolGrad', backendName);
  tf.registerKernel({
    ...shipped,
    kernelFunc: (call) => {
      const { input } = call.inputs as { input: tf.Tensor };
      const positive = tf.tidy(() => tf.add(tf.sub(input, tf.min(input)), 1));
      try {
        return shipped.kernelFunc({ ...call, inputs: { ...call.inputs, input: positive } });
      } finally {
        positive.dispose();
      }
    },
  });
}
