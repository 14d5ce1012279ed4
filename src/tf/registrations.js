// tfjs-core's file for Node holds neither gradients nor methods of tensors; its modules that register them are bundled.
import '@tensorflow/tfjs-core/dist/register_all_gradients';
import '@tensorflow/tfjs-core/dist/public/chained_ops/register_all_chained_ops';
