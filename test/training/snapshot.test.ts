import { initBackend } from '../../src/backend/index.js';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { Classifier } from '../../src/classifier/classifier.js';
import { LocalCommunicator } from '../../src/collective/local-communicator.js';
import { configSchema } from '../../src/config/schema.js';
import { Snapshots } from '../../src/training/snapshots.js';
import type { TrainingState } from '../../src/training/state.js';
import { TrainingStep } from '../../src/training/step.js';
import { randomStream } from '../../src/util/random.js';

const shape = [6, 6, 1] as const;

async function make(optimizer: object) {
  const config = configSchema.parse({
    data: { name: 'digits' },
    model: { name: 'small-cnn', dim: 4, channels: [3], strides: [1], batchNorm: true },
    learningRate: { schedule: 'constant', rate: 0.1 },
    optimizer,
  });
  const communicator = new LocalCommunicator();
  const classifier = await Classifier.create({ config, shape, classes: 3, communicator });
  const step = await TrainingStep.create(classifier, communicator, config);
  const { loss, optimiser } = step;
  return { classifier, step, trained: { classifier, loss, optimiser, communicator, config } };
}

type Made = Awaited<ReturnType<typeof make>>;

async function train({ step }: Made, steps: readonly number[]): Promise<number[]> {
  const losses: number[] = [];
  for (const seed of steps) {
    const random = randomStream(seed);
    const images = Float32Array.from({ length: 5 * 36 }, () => random.normal());
    const batch = { images, labels: Int32Array.from([0, 1, 2, 0, 1]), count: 5 };
    losses.push((await step.run({ batch, counts: [5], rate: 0.1 })).loss);
  }
  return losses;
}

const startOf = (epochs: number, steps: number): TrainingState => ({ epochs, steps, lossSum: steps / 8 });

describe('Snapshots', () => {
  beforeAll(() => initBackend('cpu'));

  it.each([{ name: 'sgd', momentum: 0.9 }, { name: 'adamw' }])(
    'restore a training that continues with the bits of an undisturbed one: %o',
    async (optimizer) => {
      const [undisturbed, disturbed, replacement] = await Promise.all([1, 2, 3].map(() => make(optimizer)));
      const snapshots = new Snapshots({ every: 2 });
      await snapshots.begin(disturbed.trained, { generation: 0, stepsPerEpoch: 10 });
      const wanted = await train(undisturbed, [1, 2, 3, 4, 5]);
      const losses: number[] = [];
      for (const [index, seed] of [1, 2, 3].entries()) {
        losses.push(...(await train(disturbed, [seed])));
        await snapshots.afterStep(disturbed.trained, startOf(2, index + 2));
      }
      const held = snapshots.leave();
      expect(held.map(({ at, copy }) => [at, copy])).toEqual([
        [72, true],
        [66, true],
      ]);

      const start = { at: held[0].at, generation: 0, root: 0, holders: [0] };
      const again = { generation: 1, stepsPerEpoch: 10, start };
      const state = await snapshots.begin(replacement.trained, again);
      expect(state).toEqual(startOf(2, 4));
      losses.push(...(await train(replacement, [4, 5])));
      expect(losses).toEqual(wanted);
      await undisturbed.trained.loss.state?.afterEpoch(2, 25);
      await replacement.trained.loss.state?.afterEpoch(2, 25);
      expect(replacement.trained.loss.state?.values).toEqual(undisturbed.trained.loss.state?.values);
      expect(replacement.classifier.weightsSha256()).toBe(undisturbed.classifier.weightsSha256());
    },
  );

  it('are not taken after every step if a step costs less than a snapshot', async () => {
    const made = await make({ name: 'sgd' });
    const snapshots = new Snapshots();
    await snapshots.begin(made.trained, { generation: 0, stepsPerEpoch: 1000 });
    const take = vi.spyOn(snapshots, 'take');
    for (let step = 1; step <= 60; step++) {
      await train(made, [step]);
      await snapshots.afterStep(made.trained, startOf(0, step));
    }
    const taken = take.mock.calls.length;
    expect(taken).toBeGreaterThanOrEqual(2);
    expect(taken).toBeLessThan(60);
  });
});
