import { describe, expect, it } from 'vitest';
import { configSchema, type ConfigInput } from '../../src/config/schema.js';

const least: ConfigInput = {
  data: { name: 'digits' },
  model: { name: 'resnet20' },
  learningRate: { schedule: 'constant', rate: 0.1 },
};

const mixed = { name: 'digits', augment: { mixup: { alpha: 1 } } };

describe('configSchema', () => {
  it('has defaults for everything except data, model and learning rate', () => {
    expect(configSchema.parse(least)).toMatchObject({
      name: 'run',
      seed: 1,
      workers: 1,
      batchSize: 64,
      epochs: 10,
      backend: 'auto',
      model: { name: 'resnet20', dim: 256 },
      loss: { name: 'pod', lambda: 1, delta: { initial: 0.05, scale: 0.01, source: 'logits' } },
      batchNorm: { statistics: 'synchronised', momentum: 0.9 },
      optimizer: { name: 'sgd', momentum: 0.9, nesterov: false, weightDecay: 0, skipDecay: false },
      distributed: { transport: 'auto', host: '127.0.0.1', port: 0 },
    });
  });

  it('parses its own result unchanged', () => {
    const config = configSchema.parse(least);
    expect(configSchema.parse(structuredClone(config))).toEqual(config);
  });

  const wrong: [string, object][] = [
    ['an unknown key', { nmae: 'x' }],
    ['mixed images for a loss that takes one class per image', { data: mixed, loss: { name: 'cot' } }],
    [
      'a magnitude above the number of bins',
      { data: { name: 'digits', augment: { randAugment: { magnitude: 31 } } } },
    ],
    ['an unknown nested key', { loss: { delta: { inital: 1 } } }],
    ["another variant's key", { model: { name: 'resnet20', channels: [8] } }],
    ['a batch size of 0', { batchSize: 0 }],
    ['a fractional number of epochs', { epochs: 1.5 }],
    ['a negative seed', { seed: -1 }],
    ['a name that is a path', { name: '../x' }],
    ['a hidden name', { name: '.x' }],
    ['an unknown backend', { backend: 'cuda' }],
    ['two channels', { data: { name: 'image-folder', root: 'x', channels: 2 } }],
    ['an image folder without a root', { data: { name: 'image-folder' } }],
    ['a rate of 0', { learningRate: { schedule: 'constant', rate: 0 } }],
    ['a schedule without its epochs', { learningRate: { schedule: 'step', rate: 1 } }],
    ['a momentum above 1', { optimizer: { momentum: 1.1 } }],
    ['a port above 65535', { distributed: { port: 65536 } }],
    ...['ring', 'hierarchical'].map((algorithm): [string, object] => [
      `equal bits by the algorithm ${algorithm}`,
      { distributed: { bitwise: 4, algorithm } },
    ]),
    ['a deadline of 0', { distributed: { joinTimeoutSeconds: 0 } }],
  ];

  it('takes algorithms that add in pairs for equal bits', () => {
    for (const algorithm of ['auto', 'one-shot', 'two-shot', 'halving-doubling'] as const)
      configSchema.parse({ ...least, distributed: { bitwise: 4, algorithm } });
  });

  it.each(wrong)('rejects %s', (_what, settings) => {
    expect(configSchema.safeParse({ ...least, ...settings }).success).toBe(false);
  });
});
