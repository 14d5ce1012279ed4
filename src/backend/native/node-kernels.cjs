// The kernels of @tensorflow/tfjs-node-gpu: TensorFlow.js operations as calls of the native addon.
require('@tensorflow/tfjs-node-gpu/dist/register_all_kernels.js');
exports.NodeJSKernelBackend =
  require('@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js').NodeJSKernelBackend;
