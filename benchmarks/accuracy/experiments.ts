/** One line of a result table: a recipe with its settings, trained once a seed. */
export interface Group {
  label: string;
  settings: readonly string[];
  workers?: number;
  seeds: number;
}

export interface Experiment {
  /** A shipped recipe. */
  recipe: string;
  /** Epochs are counted until the test accuracy first reaches this. */
  threshold: number;
  groups: readonly Group[];
}

/** The losses of the paper; margins and scales are the defaults of the schema but for ArcFace's scale. */
const losses: readonly [label: string, settings: readonly string[]][] = [
  ['POD', ['loss.name=pod']],
  ['softmax', ['loss.name=softmax']],
  ['AM-Softmax', ['loss.name=am-softmax']],
  ['ArcFace', ['loss.name=arcface', 'loss.scale=30']],
  ['PEDCC-Loss', ['loss.name=pedcc-loss']],
  ['PEDCC-Loss, per element', ['loss.name=pedcc-loss', 'loss.reduction=element']],
  ['dot regression', ['loss.name=dot-regression']],
  ['softmax on centroids', ['loss.name=centroid-softmax']],
  ['SphereFace', ['loss.name=sphereface']],
  ['center loss', ['loss.name=center-loss']],
  ['COT', ['loss.name=cot']],
];

/** POD Loss without some of its parts, or with a part held constant. `local` differs from `global` only with several workers. */
const variants: readonly [label: string, settings: readonly string[], workers?: number][] = [
  ['whole', []],
  ['without SC', ['loss.sc=off']],
  ['global SC, 4 workers', [], 4],
  ['local SC, 4 workers', ['loss.sc=local'], 4],
  ['delta 0', ['loss.delta.schedule=fixed', 'loss.delta.initial=0']],
  ['delta 0.05', ['loss.delta.schedule=fixed']],
];

function workerCounts(...settings: string[]): Group[] {
  return [1, 2, 4].map((workers) => ({
    label: `${workers} ${workers === 1 ? 'worker' : 'workers'}`,
    settings,
    workers,
    seeds: 1,
  }));
}

/** Largest learning rate, and weight decay where it is not the recipe's. */
type Pace = readonly [rate: number, decay?: number];

function atPaces(pacesOf: (label: string) => readonly Pace[], seedsOf: (label: string) => number): Group[] {
  return losses.flatMap(([label, settings]) =>
    pacesOf(label).map(([rate, decay]) => ({
      label: `${label}, rate ${rate}${decay === undefined ? '' : `, decay ${decay}`}`,
      settings: [
        ...settings,
        `learningRate.rate=${rate}`,
        ...(decay === undefined ? [] : [`optimizer.weightDecay=${decay}`]),
      ],
      seeds: seedsOf(label),
    })),
  );
}

/** All have the same product of rate and decay, which is the share that weights lose in a step. */
const paces: readonly Pace[] = [
  [0.05, 1e-3],
  [0.2, 2.5e-4],
  [0.8, 6.25e-5],
];

/** The best of `paces` in three epochs of CIFAR-10 (benchmarks/results/accuracy.md). */
const bestPaces: Readonly<Record<string, Pace>> = {
  'PEDCC-Loss': paces[0],
  'dot regression': paces[2],
};

function ablation(seeds: number): Group[] {
  return variants.map(([label, settings, workers]) => ({ label, settings, workers, seeds }));
}

/** POD Loss with one setting of the recipe changed at a time. */
const podSettings: readonly (readonly string[])[] = [
  ['model.dim=16'],
  ['model.dim=64'],
  ['model.dim=256'],
  ['model.dim=512'],
  ['loss.lambda=0.1'],
  ['loss.lambda=10'],
  ['loss.delta.schedule=fixed', 'loss.delta.initial=0'],
  ['loss.delta.schedule=fixed', 'loss.delta.initial=0.05'],
  ['loss.delta.source=features'],
  ['learningRate.rate=0.4', 'optimizer.weightDecay=0.0005'],
];

/** The same recipe in each precision. */
function inBothPrecisions(seeds: number, ...settings: string[]): Group[] {
  return ['float32', 'bf16'].map((precision) => ({
    label: precision,
    settings: [`precision=${precision}`, ...settings],
    seeds,
  }));
}

/**
 * The recipe of the paper's authors shortened to 24 epochs: batches of 200, 256 dimensions, plain momentum, decay 5e-4,
 * rate 0.1 divided by 10 three times; a network small enough for two cores.
 */
const authorsRecipe = [
  'epochs=24',
  'batchSize=200',
  ...['model.width=16', 'model.dim=256', 'model.padding=pytorch'],
  ...['optimizer.nesterov=false', 'optimizer.weightDecay=0.0005'],
  ...['learningRate={schedule: step, rate: 0.1, epochs: [7, 14, 21], factor: 0.1}'],
  'evaluation.mirror=false',
];

const likeTheAuthors: readonly Group[] = [
  { label: 'POD', settings: ['loss.name=pod', 'model.init=pytorch'], seeds: 3 },
  { label: 'softmax', settings: ['loss.name=softmax', 'model.init=pytorch'], seeds: 3 },
  { label: 'POD, he', settings: ['loss.name=pod', 'model.init=he'], seeds: 1 },
];

function withSettings(groups: readonly Group[], ...more: readonly string[]): Group[] {
  return groups.map((group) => ({ ...group, settings: [...more, ...group.settings] }));
}

/** The losses at three rates, with both kinds of initial weights. */
function atInits(seeds: number, ...more: readonly string[]): Group[] {
  const groups = atPaces(
    () => [[0.02], [0.1], [0.4]],
    () => seeds,
  );
  return groups.flatMap((group) =>
    ['he', 'pytorch'].map((init) => ({
      ...group,
      label: `${group.label}, ${init}`,
      settings: [...more, `model.init=${init}`, ...group.settings],
    })),
  );
}

export const experiments: Readonly<Record<string, Experiment>> = {
  'digits-losses': {
    recipe: 'digits',
    threshold: 0.95,
    groups: atPaces(
      () => [[0.02], [0.1], [0.4]],
      () => 10,
    ),
  },
  /** Rates are chosen by a fifth of the training images, and measured on the test images. */
  'digits-init-rates': { recipe: 'digits', threshold: 0.95, groups: atInits(3, 'data.holdOut=0.2') },
  'digits-init': { recipe: 'digits', threshold: 0.95, groups: atInits(10) },
  'digits-ablation': { recipe: 'digits', threshold: 0.95, groups: ablation(10) },
  'digits-precision': { recipe: 'digits', threshold: 0.95, groups: inBothPrecisions(10) },
  'cifar10-precision': {
    recipe: 'cifar10-resnet20',
    threshold: 0.5,
    groups: inBothPrecisions(3, 'epochs=3'),
  },
  'digits-workers': { recipe: 'digits', threshold: 0.95, groups: workerCounts() },
  'digits-bitwise-workers': {
    recipe: 'digits',
    threshold: 0.95,
    groups: workerCounts('distributed.bitwise=4'),
  },
  'cifar10-rates': {
    recipe: 'cifar10-resnet20',
    threshold: 0.7,
    groups: atPaces(
      () => paces,
      () => 1,
    ),
  },
  'cifar10-settings': {
    recipe: 'cifar10-resnet20',
    threshold: 0.7,
    groups: withSettings(
      podSettings.map((changed) => ({ label: changed.join(', '), settings: changed, seeds: 1 })),
      'optimizer.weightDecay=0.00025',
    ),
  },
  'cifar10-losses': {
    recipe: 'cifar10-resnet20',
    threshold: 0.8,
    groups: withSettings(
      atPaces(
        (label) => [bestPaces[label] ?? paces[1]],
        (label) => (label === 'POD' || label === 'softmax' ? 3 : 1),
      ),
      'epochs=10',
    ),
  },
  /** To compare with the POD row of `cifar10-losses`, which has the whole loss. */
  'cifar10-ablation': {
    recipe: 'cifar10-resnet20',
    threshold: 0.8,
    groups: withSettings(
      ablation(1).filter(({ label }) => label !== 'whole' && label !== 'global SC, 4 workers'),
      'epochs=10',
      'optimizer.weightDecay=0.00025',
    ),
  },
  'cifar10-authors': {
    recipe: 'cifar10-resnet9',
    threshold: 0.8,
    groups: withSettings(likeTheAuthors, ...authorsRecipe),
  },
  'cifar10-workers': { recipe: 'cifar10-resnet20', threshold: 0.7, groups: workerCounts() },
  'cifar10-bitwise-workers': {
    recipe: 'cifar10-resnet20',
    threshold: 0.7,
    groups: workerCounts('distributed.bitwise=4'),
  },
};
