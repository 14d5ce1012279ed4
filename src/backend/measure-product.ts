import * as tf from '../tf/index.js';

interface ProductOptions {
  enoughMs?: number;
  largest?: number;
  multiply?(left: tf.Tensor2D, right: tf.Tensor2D): tf.Tensor2D;
}

/**
 * Billions of floating-point operations a second in the product of two square matrices on the backend that runs: the
 * side doubles until one product takes `enoughMs`, then the fastest of five counts (2 n^3 operations each).
 */
export async function measureProduct({
  enoughMs = 40,
  largest = 4096,
  multiply = tf.matMul,
}: ProductOptions = {}): Promise<number> {
  for (let side = 128; ; side *= 2) {
    const [left, right] = [1, 2].map((seed) =>
      tf.randomUniform<tf.Rank.R2>([side, side], -1, 1, 'float32', seed),
    );
    let best = Infinity;
    for (let round = 0; round < 6; round++) {
      const started = performance.now();
      const product = multiply(left, right);
      const corner = product.slice([0, 0], [1, 1]);
      await corner.data();
      if (round > 0) best = Math.min(best, performance.now() - started);
      tf.dispose([product, corner]);
      if (performance.now() - started > 10 * enoughMs && round > 0) break;
    }
    tf.dispose([left, right]);
    if (best >= enoughMs || side >= largest) return (2 * side ** 3) / best / 1e6;
  }
}
