import '@tensorflow/tfjs-core/dist/public/chained_ops/register_all_chained_ops.js';
