import * as tf from '../../../src/tf/index.js';
import { expect, it } from 'vitest';
import { runningBatchNorm } from '../../../src/backend/composed-batch-norm.js';
import { initBackend } from '../../../src/backend/index.js';
import { normal } from '../backends.js';
import { halvesOf } from '../halves.js';

it('batch-norm sums of a batch do not depend on how its images are split', async () => {
  await initBackend('wasm');
  const x = normal([7, 5, 3, 6], 1, 3);
  const { sums } = halvesOf(runningBatchNorm());
  const whole = sums(x);
  const [first, second] = [sums(tf.slice(x, [0], [3])), sums(tf.slice(x, [3], [4]))];
  whole.forEach((sum, index) => expect(Math.fround(first[index] + second[index])).toBe(Math.fround(sum)));
  x.dispose();
});
