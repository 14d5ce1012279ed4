import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Description } from '../../src/export/description.js';
import { onnxScores } from './onnx-peer.js';
import { hasPytorch, PytorchPeer } from './pytorch-peer.js';
import { largestDifference, TrainedDigits } from './trained.js';
import { needs } from '../needs.js';

const pytorchHere = hasPytorch();

describe.each([
  ['pod', 'cosines'],
  ['softmax', 'probabilities'],
])('digits trained with %s', (loss, kind) => {
  let trained: TrainedDigits;
  beforeAll(async () => {
    trained = await TrainedDigits.train(loss);
  });
  afterAll(() => trained.clear());

  const best = (rows: number[][]) => rows.map((row) => row.indexOf(Math.max(...row)));
  const expectSame = (scores: number[][]) => {
    expect(largestDifference(scores, trained.scores)).toBeLessThan(1e-4);
    expect(best(scores)).toEqual(best(trained.scores));
  };

  it(`get the same classes and ${kind} in ONNX Runtime`, async () => {
    const folder = await trained.export('onnx');
    const read = (name: string) => readFileSync(join(folder, name));
    expectSame(await onnxScores(read('model.onnx'), trained.images, [trained.count, 8, 8, 1]));
    const { scores, input } = JSON.parse(read('classifier.json').toString()) as Description;
    expect({ scores, input }).toEqual({
      scores: kind,
      input: { name: 'images', layout: 'NCHW', shape: [null, 1, 8, 8] },
    });
  });

  it(
    `get the same classes and ${kind} in PyTorch`,
    needs('Python with PyTorch and safetensors (POD_DIST_PYTHON names one)', pytorchHere),
    async () => {
      const folder = await trained.export('safetensors');
      const pytorch = new PytorchPeer();
      try {
        expectSame(await pytorch.scores(folder, trained.images, [trained.count, 8, 8, 1]));
      } finally {
        await pytorch.close();
      }
    },
  );
});
