import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { initBackend } from '../../src/backend/index.js';
import { configSchema } from '../../src/config/schema.js';
import { openDataset, type Dataset } from '../../src/data/index.js';
import { trainAlone } from '../../src/training/alone.js';
import { findCheckpoint } from '../../src/checkpoint/checkpoints.js';
import { Predictor } from '../../src/inference/predictor.js';

const losses = ['pod', 'softmax', 'am-softmax', 'arcface', 'pedcc-loss', 'dot-regression'];
const cases = [...losses.map((loss) => [loss, false] as const), ['pod', true] as const];

describe('Predictor', () => {
  let folder: string;
  let dataset: Dataset;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
    await initBackend('wasm');
    dataset = await openDataset(configOf('pod').data, { seed: 1 });
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  function configOf(loss: string, mirror = false) {
    return configSchema.parse({
      backend: 'wasm',
      epochs: 1,
      batchSize: 96,
      data: { name: 'digits' },
      model: { name: 'small-cnn', dim: 16, channels: [8], strides: [2], batchNorm: true },
      loss: { name: loss },
      evaluation: { mirror },
      learningRate: { schedule: 'constant', rate: 0.05 },
    });
  }

  it.each(cases)(
    'predicts the classes that the evaluation counted, with loss %s, mirror %s',
    async (loss, mirror) => {
      const outDir = join(folder, `${loss}-${mirror}`);
      await trainAlone(configOf(loss, mirror), { outDir });
      const { checkpoint } = await findCheckpoint(outDir);
      const predictor = await Predictor.create(checkpoint);
      expect(predictor.scoreKind).toBe(loss === 'softmax' ? 'probability' : 'cosine');
      const confusion = new Array<number>(110).fill(0);
      const batches = [
        Int32Array.from({ length: 200 }, (_, at) => at),
        Int32Array.from({ length: 160 }, (_, at) => 200 + at),
      ];
      for await (const { images, labels } of dataset.read({ split: 'test', batches, epoch: 0 })) {
        predictor.predict(images, 2).forEach(([first, second], row) => {
          confusion[labels[row] * 11 + first.index]++;
          expect(first.score).toBeGreaterThanOrEqual(second.score);
          expect(Math.abs(first.score)).toBeLessThan(1.0001);
        });
      }
      predictor.dispose();
      expect(confusion).toEqual(checkpoint.evaluation?.confusion);
    },
  );

  it('averages each image with its mirror image with option mirror, whatever the recipe says', async () => {
    const outDir = join(folder, 'asked');
    await trainAlone(configOf('pod'), { outDir });
    const { checkpoint } = await findCheckpoint(outDir);
    const batches = [Int32Array.of(3, 4, 5)];
    const scores: number[][] = [];
    for (const mirror of [undefined, false, true]) {
      const predictor = await Predictor.create(checkpoint, { mirror });
      for await (const { images } of dataset.read({ split: 'test', batches, epoch: 0 }))
        scores.push(predictor.predict(images, 10).flatMap((top) => top.map(({ score }) => score)));
      predictor.dispose();
    }
    expect(scores[1]).toEqual(scores[0]);
    expect(scores[2]).not.toEqual(scores[0]);
  });
});
