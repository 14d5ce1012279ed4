import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '../../src/tf/index.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildModel } from '../../src/models/index.js';
import { configSchema } from '../../src/config/schema.js';
import { trainAlone } from '../../src/training/alone.js';

const good = `export default ({ tf, shape, dim, seed }) => {
  const kernelInitializer = tf.initializers.heNormal({ seed });
  return tf.sequential({ layers: [
    tf.layers.conv2d({ inputShape: shape, filters: 4, kernelSize: 3, strides: 2, useBias: false, kernelInitializer }),
    tf.layers.batchNormalization(),
    tf.layers.reLU(),
    tf.layers.flatten(),
    tf.layers.dense({ units: dim, kernelInitializer }),
  ] });
};`;

describe("a user's backbone", () => {
  const folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
  let made = 0;
  beforeAll(() => tf.setBackend('cpu'));
  afterAll(() => rmSync(folder, { recursive: true }));

  const written = (source: string, ending = 'mjs') => {
    const path = join(folder, `backbone${++made}.${ending}`);
    writeFileSync(path, source);
    return path;
  };
  const build = (path: string) => buildModel({ name: 'module', path, dim: 6 }, { shape: [8, 8, 1], seed: 4 });

  it('is built from the default export of its module and trains', async () => {
    const path = written(good);
    const model = await build(path);
    expect(model.outputs[0].shape).toEqual([null, 6]);
    const config = configSchema.parse({
      epochs: 1,
      backend: 'wasm',
      data: { name: 'digits' },
      model: { name: 'module', path, dim: 16 },
      learningRate: { schedule: 'constant', rate: 0.2 },
    });
    const report = await trainAlone(config, { outDir: join(folder, 'run') });
    expect(report.parameters).toBe(9 * 4 + 2 * 4 + 3 * 3 * 4 * 16 + 16);
    expect(report.evalAccuracy).toBeGreaterThan(0.5);
  });

  it('can be written in TypeScript', async () => {
    const model = await build(
      written(good.replace('shape, dim, seed })', 'shape, dim, seed }: any)'), 'mts'),
    );
    expect(model.outputs[0].shape).toEqual([null, 6]);
  });

  it('is rejected with the mistake in its module', async () => {
    const layer = (options: string) =>
      `export default ({ tf, dim }) => tf.sequential({ layers: [tf.layers.flatten({ inputShape: [8, 8, 1] }), ${options}] });`;
    const wrong: [string, RegExp][] = [
      ['export const model = 1;', /default export must be a function of \(\{ tf, shape, dim, seed \}\)/],
      ['export default () => { throw new Error("oh no"); };', /its function failed: oh no/],
      ['import "./not-there.mjs";', /cannot be imported: .*not-there/],
      ['export default () => ({});', /must return a tf.LayersModel/],
      [layer('tf.layers.dense({ units: 7 })'), /its output is 7, model.dim is 6/],
      [good.replace('inputShape: shape', 'inputShape: [9, 9, 1]'), /its input is 9x9x1, images are 8x8x1/],
      [
        layer('tf.layers.gaussianNoise({ stddev: 0.5 }), tf.layers.dense({ units: dim })'),
        /draws random numbers/,
      ],
      [
        layer('tf.layers.dropout({ rate: 0.5, noiseShape: [1, 64] }), tf.layers.dense({ units: dim })'),
        /has a noiseShape/,
      ],
      [
        layer('tf.sequential({ layers: [tf.layers.dense({ units: dim, inputShape: [64] })] })'),
        /a model within/,
      ],
      [
        layer('tf.layers.batchNormalization({ trainable: false }), tf.layers.dense({ units: dim })'),
        /must be trainable/,
      ],
    ];
    for (const [source, message] of wrong) {
      await expect(build(written(source))).rejects.toMatchObject({
        name: 'UserError',
        message: expect.stringMatching(message),
      });
    }
    await expect(build(join(folder, 'nowhere.mjs'))).rejects.toThrow(/no module .*nowhere\.mjs/);
  });
});
