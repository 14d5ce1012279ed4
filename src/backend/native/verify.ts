import * as tf from '../../tf/index.js';
import { startNative } from './start.js';

/** Run by set-up in a process of its own: loads the addon and the operations named on the command line and computes. */
const [file, operations] = process.argv.slice(2);
const { gpu, fusions } = await startNative({ file, operations });
const product = tf.matMul(tf.ones([64, 64]), tf.ones([64, 64])).dataSync();
if (!product.every((value) => value === 64)) throw new Error('a matrix product comes out wrong');
const batchNorm = fusions?.batchNorm;
const tensors = batchNorm?.sums(tf.tensor4d([1, 2, 3, 4], [2, 1, 1, 2])) ?? [];
const statistics = batchNorm?.readSums(
  tensors.map((tensor) => tensor.dataSync<'float32'>()),
  2,
);
if ([4, 6, 10, 20].some((sum, index) => statistics?.[index] !== sum)) throw new Error('sums come out wrong');
process.stdout.write(JSON.stringify({ gpu }));
process.exit();
