import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StepRecord } from '../../src/record/records.js';
import { backends, Workplace } from './command.js';
import { needs } from '../needs.js';

const worlds = [1, 2, 3];
const place = new Workplace();
afterAll(() => place.clear());

const model = 'model={name: small-cnn, dim: 32, channels: [8, 16], strides: [1, 2], batchNorm: true}';
const recipe = [
  ...[
    model,
    'accumulate=2',
    'distributed.bucketBytes=8000',
    'learningRate={schedule: constant, rate: 0.002}',
  ],
  'optimizer={name: adamw, weightDecay: 0.05, skipDecay: true, clipNorm: 0.5}',
];

describe('AdamW with clipping, accumulation and many buckets on 1, 2 and 3 workers', () => {
  beforeAll(async () => {
    for (const workers of worlds) await place.train(workers, [...recipe, 'epochs=1'], { out: `w${workers}` });
  });

  it('take the same steps', () => {
    const [single, ...others] = worlds.map((workers) => place.metrics(`w${workers}`).steps);
    expect(single.length).toBe(8);
    expect(single[0].loss).toBeGreaterThan(single[7].loss);
    for (const steps of others) {
      expect(steps.length).toBe(8);
      steps.forEach(({ loss }, step) =>
        expect(Math.abs(loss - single[step].loss) / single[step].loss).toBeLessThan(1e-4),
      );
    }
  });

  it('continue from a checkpoint with another number of workers', async () => {
    const losses: StepRecord[][] = [];
    for (const run of ['w3', 'w2']) {
      await place.train(2, [...recipe, 'epochs=2'], { out: run, resume: 'start' });
      losses.push(place.metrics(run).steps.slice(8, 14));
    }
    expect(losses[0].map(({ step }) => step)).toEqual([8, 9, 10, 11, 12, 13]);
    losses[0].forEach(({ loss }, at) =>
      expect(Math.abs(loss - losses[1][at].loss) / loss).toBeLessThan(1e-3),
    );
  });
});

/** Trains one epoch with each number of workers and settings; returns the steps of each run. */
async function stepsOf(
  runs: Record<string, [workers: number, ...settings: string[]]>,
): Promise<StepRecord[][]> {
  const all: StepRecord[][] = [];
  for (const [out, [workers, ...settings]] of Object.entries(runs)) {
    await place.train(workers, ['epochs=1', ...settings], { out });
    all.push(place.metrics(out).steps);
  }
  return all;
}

function expectSameLosses(
  steps: readonly StepRecord[],
  others: readonly StepRecord[],
  tolerance: number,
): void {
  expect(others.length).toBe(steps.length);
  steps.forEach(({ loss }, at) =>
    expect(Math.abs(others[at].loss - loss) / loss, `step ${at}`).toBeLessThan(tolerance),
  );
}

describe('the update of several ranks', () => {
  it('equals that of one worker with LARS, Nesterov, skipDecay and clipping', async () => {
    const lars =
      'optimizer={name: lars, nesterov: true, trust: 0.02, weightDecay: 0.01, skipDecay: true, clipNorm: 0.02}';
    const settings = [lars, model, 'distributed.bucketBytes=8000', 'batchSize=160'];
    const [single, ...others] = await stepsOf({
      'lars-1': [1, ...settings],
      'lars-2': [2, ...settings],
      'lars-3': [3, ...settings],
    });
    for (const steps of others) expectSameLosses(single, steps, 1e-4);
    const [plain] = await stepsOf({
      'lars-free': [1, lars.replace(', clipNorm: 0.02', ''), ...settings.slice(1)],
    });
    expect(Math.abs(plain[8].loss - single[8].loss) / single[8].loss).toBeGreaterThan(1e-3);
  });

  it('equals that of one worker with as many micro-batches, with local batch norm', async () => {
    const settings = [model, 'batchNorm.statistics=local', 'loss.lambda=0'];
    const [two, micro] = await stepsOf({
      'local-2': [2, ...settings, 'batchSize=96'],
      'local-micro': [1, ...settings, 'batchSize=48', 'accumulate=2'],
    });
    // The last step is left out: its 93 images split into 46 and 47 on two ranks, but into 48 and 45 in micro-batches.
    expectSameLosses(two.slice(0, 14), micro.slice(0, 14), 1e-4);
  });

  it('has equal bits over tcp and ipc', async () => {
    const settings = [model, 'distributed.bucketBytes=8000', 'batchSize=160'];
    await stepsOf({
      tcp: [3, ...settings, 'distributed.transport=tcp'],
      ipc: [3, ...settings, 'distributed.transport=ipc'],
    });
    expect(place.report('tcp').weightsSha256).toBe(place.report('ipc').weightsSha256);
  });

  it(
    'equals that of one worker for ResNet-20 on native, with buckets sent during the backward pass',
    needs('native TensorFlow', backends.length > 1),
    async () => {
      const settings = [
        ...['backend=native', 'model={name: resnet20, dim: 64}', 'batchSize=360'],
        ...['distributed.bucketBytes=200000', 'learningRate={schedule: constant, rate: 0.05}'],
      ];
      const [single, two] = await stepsOf({
        'resnet20-1': [1, ...settings],
        'resnet20-2': [2, ...settings],
      });
      expect(single).toHaveLength(4);
      expectSameLosses(single, two, 1e-3);
    },
  );
});
