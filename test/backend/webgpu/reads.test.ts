import * as tf from '../../../src/tf/index.js';
import { describe, expect, it } from 'vitest';
import { initBackend } from '../../../src/backend/index.js';
import { LocalCommunicator } from '../../../src/collective/local-communicator.js';
import { configSchema } from '../../../src/config/schema.js';
import { Classifier } from '../../../src/classifier/classifier.js';
import { TrainingStep } from '../../../src/training/step.js';
import { accelerated } from '../backends.js';
import { needs } from '../../needs.js';

describe('reads on webgpu', needs('a Vulkan driver for webgpu', accelerated.includes('webgpu')), () => {
  it('block until the values are ready, also while another read is pending', async () => {
    await initBackend('webgpu');
    const x = tf.range(0, 5000);
    const promised = tf.sum(tf.square(x)).data();
    for (let round = 1; round <= 20; round++) {
      const [sum] = tf.tidy(() => tf.sum(tf.mul(x, round)).dataSync());
      expect(sum / (round * 12_497_500)).toBeCloseTo(1, 5);
    }
    expect((await promised)[0] / 41_654_167_500).toBeCloseTo(1, 5);
    expect(tf.tidy(() => tf.greater(x, 4998).dataSync().slice(-2))).toEqual(Uint8Array.of(0, 1));
    expect(tf.tidy(() => tf.cast(x, 'int32').add(1).dataSync().at(-1))).toBe(5000);
    x.dispose();
  });

  it('leave globalThis.setImmediate unchanged', async () => {
    await initBackend('webgpu');
    const before = globalThis.setImmediate;
    tf.tidy(() => tf.sum(tf.ones([2000])).dataSync());
    expect(globalThis.setImmediate).toBe(before);
  });

  it('leak no memory over 200 training steps', async () => {
    await initBackend('webgpu');
    const config = configSchema.parse({
      batchSize: 8,
      data: { name: 'digits' },
      model: { name: 'small-cnn', channels: [4], strides: [2], dim: 8, batchNorm: true },
      learningRate: { schedule: 'constant', rate: 0.01 },
    });
    const communicator = new LocalCommunicator();
    const classifier = await Classifier.create({ config, shape: [8, 8, 1], classes: 4, communicator });
    const step = await TrainingStep.create(classifier, communicator, config);
    const images = Float32Array.from({ length: 8 * 64 }, (_, index) => Math.sin(index));
    const batch = { images, labels: Int32Array.of(0, 1, 2, 3, 0, 1, 2, 3), count: 8 };
    const input = { batch, counts: [8], rate: 0.01 };
    const run = async (steps: number) => {
      for (let index = 0; index < steps; index++) await step.run(input);
      const { numTensors, ...rest } = tf.memory();
      return {
        numTensors,
        allocated: (rest as unknown as { numBytesAllocatedInGPU: number }).numBytesAllocatedInGPU,
      };
    };
    const early = await run(20);
    const late = await run(180);
    expect(late.numTensors).toBe(early.numTensors);
    expect(late.allocated).toBeLessThanOrEqual(early.allocated * 1.05);
    step.dispose();
  }, 120_000);

  // This test is the last one because a failed device stays failed.
  it('fail with GPU_FAILED after an error on the GPU', async () => {
    await initBackend('webgpu');
    const { device } = tf.backend() as unknown as { device: GPUDevice };
    device.createBuffer({ size: 2 * device.limits.maxBufferSize, usage: GPUBufferUsage.STORAGE });
    const read = () => tf.tidy(() => tf.sum(tf.ones([2000])).dataSync());
    expect(read).toThrow(expect.objectContaining({ code: 'GPU_FAILED' }));
  });
});
