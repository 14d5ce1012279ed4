import * as tf from '@tensorflow/tfjs';
import { startNative } from './index.js';

/** Run by set-up in a process of its own: loads the addon named on the command line and computes with it. */
const { gpu } = await startNative(process.argv[2]);
const product = tf.matMul(tf.ones([64, 64]), tf.ones([64, 64])).dataSync();
if (!product.every((value) => value === 64)) throw new Error('a matrix product comes out wrong');
process.stdout.write(JSON.stringify({ gpu }));
process.exit();
