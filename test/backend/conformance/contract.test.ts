import * as tf from '../../../src/tf/index.js';
import { describe, expect, it } from 'vitest';
import type { Found } from '../../../src/backend/backend.js';
import {
  automaticNames,
  backendOf,
  backends,
  backendNames,
  devicesOf,
  type BackendName,
} from '../../../src/backend/backends.js';
import { initBackend } from '../../../src/backend/index.js';
import { convolve, reluGradient } from '../../../src/backend/operations.js';
import { explainFailure } from '../../../src/backend/running.js';
import { normalise } from '../../../src/batch-norm/normalise.js';
import { loadProgram } from '../../../src/wasm/load.js';
import { normal, onBackend } from '../backends.js';
import { needs } from '../../needs.js';

/** Makes a backend run out of memory without using up this machine's; webgpu: see `webgpu/reads.test.ts`. */
const exhaust: Partial<Record<BackendName, () => unknown>> = {
  cpu: () => tf.tidy(() => tf.tile(tf.ones([1000, 1000]), [100, 3000])),
  native: () => tf.tidy(() => tf.tile(tf.ones([1000, 1000]), [100, 3000])),
  wasm: () => {
    const memory = new WebAssembly.Memory({ initial: 2 });
    loadProgram('training', memory).channelSums(2 ** 30, 1, 4, 65_536);
  },
};

/** Bytes of the value and gradients of convolution, batch norm, ReLU and a matrix product, large enough for several threads. */
function computed(images: number): Buffer[] {
  const kept: tf.Tensor[] = [];
  const bytes = tf.tidy(() => {
    const inputs = [
      normal([images, 32, 32, 8], 1),
      normal([3, 3, 8, 16], 2),
      normal([16], 3),
      normal([16], 4),
      normal([16, 10], 5),
    ];
    const network = (...[x, filter, gamma, beta, weights]: tf.Tensor[]) => {
      const geometry = { strides: [2, 2], pad: 'same', dilations: [1, 1], activation: 'linear' } as const;
      const y = convolve(x as tf.Tensor4D, filter as tf.Tensor4D, undefined, {
        ...{ ...geometry, strides: [2, 2], dilations: [1, 1] },
      });
      const normed = normalise(y, gamma, beta, {
        ...{ epsilon: 1e-5, activation: 'relu', share: { local: images, counted: images } },
        onStatistics: (moments) => kept.push(...moments.filter((one) => one instanceof tf.Tensor)),
      });
      const features = tf.mean(normed, [1, 2]) as tf.Tensor2D;
      return tf.sum(tf.square(tf.matMul(features, weights as tf.Tensor2D))) as tf.Scalar;
    };
    const { value, grads } = tf.valueAndGrads(network)(inputs);
    return [value, ...grads].map((tensor) =>
      Buffer.from(tensor.dataSync<'float32'>().slice().buffer),
    ) as never;
  }) as unknown as Buffer[];
  tf.dispose(kept);
  return bytes;
}

for (const name of backendNames)
  describe(`the backend ${name}`, onBackend(name), () => {
    const definition = backendOf(name);
    const images = name === 'cpu' ? 2 : 16;

    it('starts, also again after another backend, and reports its device', async () => {
      const { name: started, device, gpu } = await initBackend(name);
      expect([started, typeof gpu]).toEqual([name, 'boolean']);
      expect(device).toMatch(/^(CPU|GPU)/);
      const inTensorFlow = tf.getBackend();
      await initBackend('cpu');
      expect(await initBackend(name)).toMatchObject({ device, gpu });
      expect(tf.getBackend()).toBe(inTensorFlow);
      expect([...reluGradient(tf.tensor1d([1, 2]), tf.tensor1d([0, 1])).dataSync()]).toEqual([0, 2]);
    });

    it('rejects requireGpu if it computes on the CPU', async () => {
      const { gpu } = await initBackend(name);
      const asked = initBackend(name, { requireGpu: true });
      if (gpu) await expect(asked).resolves.toMatchObject({ gpu });
      else
        await expect(asked).rejects.toMatchObject({
          code: 'GPU_UNAVAILABLE',
          message: expect.stringContaining(definition.howToGetGpu) as string,
        });
    });

    it(
      'gives equal bits for equal inputs',
      needs('a backend that is deterministic', definition.deterministic),
      async () => {
        await initBackend(name, { deterministic: true });
        const first = computed(images);
        for (let round = 0; round < 3; round++)
          computed(images).forEach((bytes, index) => expect(bytes.equals(first[index])).toBe(true));
      },
    );

    it('leaks no tensor', async () => {
      await initBackend(name);
      computed(images);
      const before = tf.memory().numTensors;
      computed(images);
      expect(tf.memory().numTensors).toBe(before);
    });

    it(
      'reports a lack of memory with advice',
      needs('a backend whose memory can be used up here', exhaust[name]),
      async () => {
        await initBackend(name);
        let cause: unknown;
        try {
          exhaust[name]?.();
        } catch (error) {
          cause = error;
        }
        expect(cause).toBeInstanceOf(Error);
        expect(explainFailure(cause)).toMatchObject({
          code: 'OUT_OF_MEMORY',
          message: expect.stringMatching(/lower batchSize/) as string,
          cause,
        });
      },
    );

    it('returns other errors unchanged from explainFailure', async () => {
      await initBackend(name);
      for (const error of [
        new Error('out of bounds'),
        new WebAssembly.RuntimeError('unreachable'),
        new RangeError(),
        'text',
      ])
        expect(explainFailure(error)).toBe(error);
    });

    it('plans a device for every worker of a job', async () => {
      const { perWorker } = await devicesOf(name).plan({ workers: 3, requireGpu: false });
      expect(perWorker).toHaveLength(3);
      for (const { device, env } of perWorker) {
        expect(device.length).toBeGreaterThan(0);
        expect(Object.values(env).every((value) => typeof value === 'string')).toBe(true);
      }
      expect(Object.keys(await devicesOf(name).alone(2)).length).toBeGreaterThan(0);
      await expect(devicesOf(name).ofLocalRank(1)).resolves.toBeTypeOf('object');
      await expect(devicesOf(name).countGpus()).resolves.toBeGreaterThanOrEqual(0);
    });

    it('gives no advice if it runs on a GPU', () => {
      const found: Found = { usable: true, gpu: true, gpus: 1, better: true };
      expect(definition.advise?.(found)).toBeUndefined();
    });
  });

describe('the table of backends', () => {
  it('lists each backend once, and those of auto in order of preference', () => {
    const names = backends.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names.filter((name) => automaticNames.includes(name))).toEqual(automaticNames);
  });

  it('has a backend that auto can always take', () =>
    expect(backends.some(({ automatic }) => automatic({}) === 'always')).toBe(true));
});
