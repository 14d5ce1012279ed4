import * as tf from '../../src/tf/index.js';
import { beforeAll, describe, expect, it } from 'vitest';
import { LocalCommunicator } from '../../src/collective/local-communicator.js';
import { configSchema, type Config, type ConfigInput } from '../../src/config/schema.js';
import { UserError } from '../../src/util/errors.js';
import { emptyTotals } from '../../src/evaluation/totals.js';
import { lossOf, sourceTargets, type Loss } from '../../src/losses/index.js';
import type { Checkpoint } from '../../src/checkpoint/checkpoint.js';
import { Classifier } from '../../src/classifier/classifier.js';
import { checkResumable, checkSameData, describeChanges } from '../../src/training/resume.js';
import { shareState } from '../../src/training/share-state.js';
import { ShardedOptimiser } from '../../src/parallel/sharded-optimiser.js';

const recipe = {
  epochs: 5,
  data: { name: 'digits' },
  model: { name: 'small-cnn', dim: 4, channels: [3], strides: [1], batchNorm: true },
  learningRate: { schedule: 'constant', rate: 0.1 },
} satisfies ConfigInput;

const configOf = (changes: object = {}): Config => configSchema.parse({ ...recipe, ...changes });
const shape = [8, 8, 1] as const;

function create(config: Config): Promise<Classifier> {
  return Classifier.create({ config, shape, classes: 3, communicator: new LocalCommunicator() });
}

function optimiserOf(
  { parameters, weights }: Classifier,
  config: Config,
  communicator: LocalCommunicator,
): ShardedOptimiser {
  return new ShardedOptimiser({ parameters, weights, communicator, config });
}

function lossFor(config: Config, { centroids }: Classifier, communicator: LocalCommunicator): Loss {
  return lossOf(config.loss).create(config.loss, { communicator, targets: sourceTargets(centroids) });
}

function checkpointOf(classifier: Classifier, config: Config): Checkpoint {
  const fill = (first: number) =>
    Float32Array.from({ length: classifier.parameters.length }, (_, index) => first + index / 64);
  return {
    epochs: 3,
    lossState: [0.75],
    seed: config.seed,
    worldSize: 2,
    classNames: ['a', 'b', 'c'],
    shape,
    config,
    evaluation: emptyTotals(3),
    slots: classifier.parameters.slots,
    weights: fill(1),
    updates: 45,
    state: { velocity: fill(-1) },
    moving: Float32Array.of(1, 2, 3, 4, 5, 6),
  };
}

describe('shareState', () => {
  beforeAll(() => tf.setBackend('cpu'));

  it('starts from initial weights, initial delta and no momentum without a checkpoint', async () => {
    const config = configOf({ loss: { delta: { initial: 0.125 } } });
    const classifier = await create(config);
    const initial = classifier.weights.slice();
    const communicator = new LocalCommunicator();
    const optimiser = optimiserOf(classifier, config, communicator);
    const loss = lossFor(config, classifier, communicator);
    expect(await shareState({ classifier, loss, optimiser, communicator, config })).toEqual({
      epochs: 0,
      steps: 0,
      lossSum: 0,
    });
    expect(loss.state?.values).toEqual([0.125]);
    expect(classifier.weights).toEqual(initial);
    const { velocity = new Float32Array() } = await optimiser.state.gather();
    expect(velocity.length).toBe(classifier.parameters.length);
    expect(velocity.every((value) => value === 0)).toBe(true);
    expect(optimiser.state.updates).toBe(0);
  });

  it('restores weights (also in the model), velocity, moving statistics, epoch and delta from a checkpoint', async () => {
    const config = configOf();
    const classifier = await create(config);
    const resume = checkpointOf(classifier, config);
    const communicator = new LocalCommunicator();
    const optimiser = optimiserOf(classifier, config, communicator);
    const loss = lossFor(config, classifier, communicator);
    expect(await shareState({ classifier, loss, optimiser, communicator, config, resume })).toEqual({
      epochs: 3,
      steps: 0,
      lossSum: 0,
    });
    expect(loss.state?.values).toEqual([0.75]);
    expect(classifier.weights).toEqual(resume.weights);
    expect(await optimiser.state.gather()).toEqual(resume.state);
    expect(optimiser.state.updates).toBe(45);
    expect(classifier.batchNorm.flatten()).toEqual(resume.moving);
    const inModel = new Float32Array(classifier.parameters.length);
    classifier.parameters.read(inModel);
    expect(inModel).toEqual(resume.weights);
  });

  it('rejects a checkpoint whose weights have another layout', async () => {
    const config = configOf();
    const classifier = await create(config);
    const resume = checkpointOf(classifier, config);
    const [first, ...rest] = resume.slots;
    resume.slots = [{ ...first, shape: [3, 3, 3, 3] }, ...rest];
    const communicator = new LocalCommunicator();
    const optimiser = optimiserOf(classifier, config, communicator);
    const loss = lossFor(config, classifier, communicator);
    const share = shareState({ classifier, loss, optimiser, communicator, config, resume });
    await expect(share).rejects.toMatchObject({ name: 'UserError', code: 'CHECKPOINT_MISMATCH' });
  });

  it('rejects a checkpoint with fewer weights than the model', async () => {
    const config = configOf();
    const classifier = await create(config);
    const resume = checkpointOf(classifier, config);
    resume.weights = resume.weights.slice(1);
    const communicator = new LocalCommunicator();
    const optimiser = optimiserOf(classifier, config, communicator);
    const loss = lossFor(config, classifier, communicator);
    const share = shareState({ classifier, loss, optimiser, communicator, config, resume });
    await expect(share).rejects.toMatchObject({ name: 'UserError', code: 'CHECKPOINT_CORRUPT' });
  });

  it.each([
    ['without evaluation', { evaluation: undefined }, 5],
    ['of the last epoch', {}, 3],
  ])('has the epoch of a checkpoint %s evaluated again', async (_, changes, epochs) => {
    const config = configOf({ epochs });
    const classifier = await create(config);
    const epoch = { trainLoss: 0.5, seconds: 2 };
    const resume = { ...checkpointOf(classifier, config), ...changes, epoch };
    const communicator = new LocalCommunicator();
    const optimiser = optimiserOf(classifier, config, communicator);
    const loss = lossFor(config, classifier, communicator);
    const state = await shareState({ classifier, loss, optimiser, communicator, config, resume });
    expect(state).toEqual({ epochs: 3, steps: 0, lossSum: 0, unevaluated: epoch });
  });
});

describe('checkSameData', () => {
  const own = { classNames: ['ada', 'bob', 'cy'], shape: [8, 8, 3] as const };
  const dataset = (classNames: string[], shape = [8, 8, 3]) =>
    ({ name: 'faces', classNames, shape }) as never;

  it.each([
    [['ada', 'bob', 'dan'], [8, 8, 3], /the class cy is now named dan/],
    [['ada', 'bob'], [8, 8, 3], /2 classes where it knows 3, without cy;/],
    [['ada', 'bob', 'cy', 'dan'], [8, 8, 3], /4 classes where it knows 3, with dan besides;/],
    [['bob', 'ada', 'cy'], [8, 8, 3], /the classes are in another order/],
    [['ada', 'bob', 'cy'], [8, 8, 1], /images are 8x8, 1 channels, it was trained on 8x8, 3 channels/],
    [['ada', 'bob', 'cy'], [9, 9, 3], /images are 9x9, 3 channels, it was trained on 8x8/],
  ])('rejects classes %j with images of %j', (names, shape, message) => {
    const check = () => checkSameData(own, dataset(names, shape));
    expect(check).toThrow(UserError);
    expect(check).toThrow(message);
  });

  it('accepts equal classes and shape', () => {
    expect(checkSameData(own, dataset([...own.classNames]))).toBeUndefined();
  });
});

describe('describeChanges', () => {
  it('lists every changed setting and changed images', async () => {
    const own = configOf();
    const data = { name: 'digits', images: 3, fingerprint: 'a' };
    const checkpoint = { ...checkpointOf(await create(own), own), data };
    const dataset = (fingerprint: string) =>
      ({ fingerprint: async () => fingerprint, labels: { train: new Int32Array(4) } }) as never;
    expect(await describeChanges(checkpoint, own, dataset('a'))).toBeUndefined();
    const changed = configOf({ epochs: 7, loss: { name: 'softmax' }, trace: 't.json' });
    expect(await describeChanges(checkpoint, changed, dataset('b'))).toMatch(
      /^changed since the checkpoint: epochs 5 -> 7, loss\.name pod -> softmax, .*trace unset -> t\.json, training images 3 -> 4$/,
    );
  });
});

describe('checkResumable', () => {
  const resumable = (changes: object) => async () => {
    const own = configOf();
    checkResumable(checkpointOf(await create(own), own), configOf(changes));
  };

  it.each([{}, { epochs: 50 }, { workers: 4 }, { batchSize: 7 }, { centroids: { seed: 1 } }])(
    'allows %j as a change',
    async (changes) => {
      await expect(resumable(changes)()).resolves.toBeUndefined();
    },
  );

  it.each([
    [{ model: { ...recipe.model, dim: 5 } }, /another model/],
    [{ optimizer: { name: 'adamw' } }, /trained by sgd, the configuration says optimizer\.name adamw/],
    [{ seed: 2 }, /trained with seed 1, the configuration says 2/],
    [{ centroids: { seed: 9 } }, /centroids of seed 1, the configuration says centroids\.seed 9/],
  ])('rejects %j as a change', async (changes, message) => {
    const error = await resumable(changes)().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(UserError);
    expect((error as Error).message).toMatch(message);
    expect((error as Error).message).not.toContain('\n');
  });
});
