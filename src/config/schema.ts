import { z } from 'zod';

const count = z.int().positive();
const seconds = z.number().positive();
const backends = ['auto', 'native', 'webgpu', 'wasm', 'cpu'] as const;
const probability = z.number().min(0).max(1);

const normalisation = z.strictObject({
  mean: z.array(z.number()).min(1).describe('a mean per channel, of pixels in 0..1'),
  std: z.array(z.number().positive()).min(1).describe('a standard deviation per channel'),
});

const augmentation = z.strictObject({
  cropPadding: z
    .int()
    .min(0)
    .default(0)
    .describe('pixels of black border before a random crop to the image size'),
  flip: z.boolean().default(false).describe('mirror left to right with probability one half'),
});

const digits = z.strictObject({
  name: z.literal('digits'),
  splitSeed: z.int().min(0).default(0).describe('chooses the 1,437 training and 360 test images'),
  augment: augmentation.prefault({}),
  normalize: normalisation.optional(),
});

/** Data sets that are kept whole in memory. */
const inMemory = {
  root: z.string().min(1).optional().describe('folder of the data set; default: data/<name>'),
  augment: augmentation.prefault({}),
  normalize: normalisation.optional(),
};

const pixelCache = z.strictObject({
  memoryMegabytes: z.int().min(0).default(1024).describe('memory a worker may use for decoded pixels'),
  diskMegabytes: z
    .int()
    .min(0)
    .default(10_000)
    .describe('disk that decoded pixels of all data sets may take, for later runs; 0: none are kept there'),
  folder: z
    .string()
    .min(1)
    .optional()
    .describe('where they are kept on disk; default: ~/.cache/pod-dist/pixels'),
});

/** Data sets of image files, decoded by threads. */
const imageFiles = {
  augment: augmentation.prefault({}),
  normalize: normalisation.optional(),
  threads: count.optional().describe('loader threads a worker; default: from the cores a worker has'),
  prefetch: count.default(4).describe('batches read ahead, at most'),
  cache: pixelCache.prefault({}),
};

export const dataSchema = z.discriminatedUnion('name', [
  digits,
  z.strictObject({ name: z.enum(['cifar10', 'cifar100', 'mnist', 'fashion-mnist']), ...inMemory }),
  z.strictObject({
    name: z.literal('tiny-imagenet'),
    root: z.string().min(1).optional().describe('folder of the data set; default: data/<name>'),
    ...imageFiles,
  }),
  z.strictObject({
    name: z.literal('image-folder'),
    root: z.string().min(1).describe('folder with train/<class>/*.jpg and test/<class>/*.jpg (or .png)'),
    size: count.default(32).describe('images are size x size pixels; others are stretched'),
    resize: count
      .optional()
      .describe('instead of stretching: shorter side to this many pixels, then the size x size centre'),
    channels: z.union([z.literal(1), z.literal(3)]).default(3),
    ...imageFiles,
    augment: augmentation
      .extend({
        randomResizedCrop: z
          .boolean()
          .default(false)
          .describe('a random 8 to 100 % of the area, 3:4 to 4:3, resized to size x size'),
      })
      .prefault({}),
  }),
]);

const dim = z.int().min(2).describe('feature dimension d');
const stem = z
  .enum(['3x3', 'imagenet'])
  .default('3x3')
  .describe('first layers: 3x3 keeps small images large, imagenet shrinks them early');

export const modelSchema = z.discriminatedUnion('name', [
  z.strictObject({
    name: z.literal('small-cnn'),
    dim: dim.default(128),
    channels: z.array(count).min(1).default([32, 64, 128]).describe('a 3x3 convolution each'),
    strides: z.array(count).min(1).default([1, 2, 2]),
    batchNorm: z.boolean().default(false),
  }),
  z.strictObject({ name: z.enum(['resnet20', 'resnet56']), dim: dim.default(256) }),
  z.strictObject({
    name: z.enum(['resnet18', 'resnet34', 'resnet50', 'resnet101']),
    dim: dim.default(256),
    stem,
  }),
  z.strictObject({ name: z.literal('vgg16-bn'), dim: dim.default(256) }),
  z.strictObject({ name: z.literal('densenet121'), dim: dim.default(256), stem }),
  z.strictObject({ name: z.literal('mobilenetv2'), dim: dim.default(256), stem }),
  z.strictObject({
    name: z.literal('module'),
    path: z
      .string()
      .min(1)
      .describe('JavaScript or TypeScript module of a backbone of your own, beside the recipe'),
    dim,
  }),
]);

/** Names of the backbones that ship with pod-dist. */
export const modelNames: readonly string[] = modelSchema.options
  .flatMap(({ shape: { name } }) => ('values' in name ? [...name.values] : name.options))
  .filter((name) => name !== 'module');

const deltaSchema = z.strictObject({
  schedule: z
    .enum(['norm', 'fixed'])
    .default('norm')
    .describe('norm: grows with the epochs and the norms seen; fixed: stays at initial'),
  initial: z.number().min(0).default(0.05).describe('delta of the first epoch'),
  scale: z.number().min(0).default(0.01).describe('delta after epoch e is scale * (e + 1) * mean norm'),
  source: z.enum(['logits', 'features']).default('logits').describe('whose mean norm'),
});

const scale = z.number().positive().describe('s: cosines are multiplied by it');

/** The loss; those with `PEDCC` in their description have fixed centroids, the others weights that are trained. */
export const lossSchema = z.discriminatedUnion('name', [
  z.strictObject({
    name: z.literal('pod').default('pod'),
    lambda: z.number().min(0).default(1).describe('weight of the self-correlation loss'),
    sc: z
      .enum(['global', 'local', 'off'])
      .default('global')
      .describe('self-correlation over all workers, over each shard alone (workers then matter), or none'),
    delta: deltaSchema.prefault({}),
  }),
  z.strictObject({ name: z.literal('softmax') }),
  z.strictObject({
    name: z.literal('am-softmax'),
    scale: scale.default(30),
    margin: z.number().min(0).default(0.35).describe('m: taken from the cosine of the own class'),
  }),
  z.strictObject({
    name: z.literal('arcface'),
    scale: scale.default(64),
    margin: z.number().min(0).max(3).default(0.5).describe('m: added to the angle to the own class, radians'),
  }),
  z.strictObject({
    name: z.literal('pedcc-loss'),
    scale: scale.default(15),
    margin: z.number().min(0).default(0.5).describe('m: taken from the cosine of the own class'),
    power: z.number().positive().default(1).describe('n: the mean squared error is raised to it'),
  }),
  z.strictObject({ name: z.literal('dot-regression') }),
]);

const everyOptimizer = {
  skipDecay: z
    .boolean()
    .default(false)
    .describe('no weight decay for biases and batch norm: parameters of fewer than 2 dimensions'),
  clipNorm: z
    .number()
    .positive()
    .optional()
    .describe('longest gradient of all parameters together; a longer one is scaled down to it'),
};
const weightDecay = (standard: number) => z.number().min(0).default(standard);
const momentum = probability.default(0.9);

/** Update rules; their defaults are PyTorch's, but for momentum. */
export const optimizerSchema = z.discriminatedUnion('name', [
  z.strictObject({
    name: z.literal('sgd').default('sgd'),
    momentum,
    nesterov: z.boolean().default(false),
    weightDecay: weightDecay(0),
    ...everyOptimizer,
  }),
  z.strictObject({
    name: z.literal('adamw'),
    betas: z
      .tuple([z.number().min(0).lt(1), z.number().min(0).lt(1)])
      .default([0.9, 0.999])
      .describe('decay rates of the mean and the mean square of the gradient'),
    epsilon: z.number().positive().default(1e-8),
    weightDecay: weightDecay(0.01),
    ...everyOptimizer,
  }),
  z.strictObject({
    name: z.literal('lars'),
    momentum,
    nesterov: z.boolean().default(false),
    trust: z
      .number()
      .positive()
      .default(0.001)
      .describe('eta: a step of a parameter is this share of its norm, times the learning rate'),
    weightDecay: weightDecay(0),
    ...everyOptimizer,
  }),
]);

const rate = z.number().positive();
const scaleWithWorkers = z
  .boolean()
  .default(false)
  .describe('multiply the rate by the number of workers, for a batchSize that grows with them');
const warmupEpochs = z
  .number()
  .min(0)
  .default(0)
  .describe('epochs, whole or not, in which the rate first climbs from near 0 in equal steps');

export const scheduleSchema = z.discriminatedUnion('schedule', [
  z.strictObject({ schedule: z.literal('constant'), rate, warmupEpochs, scaleWithWorkers }),
  z.strictObject({
    schedule: z.literal('step'),
    rate,
    epochs: z.array(count).min(1).describe('epochs (from 0) at which the rate is multiplied by factor'),
    factor: z.number().positive().default(0.1),
    warmupEpochs,
    scaleWithWorkers,
  }),
  z.strictObject({
    schedule: z.literal('cosine'),
    rate: rate.describe('the first rate after warm-up'),
    finalRate: z.number().min(0).default(0).describe('what it falls towards, in half a cosine'),
    warmupEpochs,
    scaleWithWorkers,
  }),
  z.strictObject({
    schedule: z.literal('one-cycle'),
    rate: rate.describe('the largest rate'),
    warmup: probability.default(0.25).describe('share of the steps that climb to it'),
    startDivisor: z.number().min(1).default(25),
    endDivisor: z
      .number()
      .min(1)
      .default(10_000)
      .describe('the last rate is rate / startDivisor / endDivisor'),
    scaleWithWorkers,
  }),
]);

export const distributedSchema = z.strictObject({
  transport: z
    .enum(['auto', 'ipc', 'tcp'])
    .default('auto')
    .describe('auto: ipc on one host, tcp across hosts'),
  host: z.string().default('127.0.0.1').describe('address that the coordinator and tcp edges listen on'),
  port: z.int().min(0).max(65535).default(0).describe("the coordinator's port; 0: any free one"),
  joinTimeoutSeconds: seconds.default(120).describe('until every worker has joined'),
  collectiveTimeoutSeconds: seconds.default(300).describe('of one collective'),
  stallTimeoutSeconds: seconds
    .default(60)
    .describe('without a sign of life or progress, before a worker counts as stalled'),
  stallWarningSeconds: seconds
    .default(10)
    .describe('a worker that others wait for longer than this is named on the console'),
  checkCollectives: z
    .boolean()
    .default(false)
    .describe(
      'compare every collective over the workers before it, and name both call sites where they differ',
    ),
  wire: z
    .enum(['float32', 'bf16'])
    .default('float32')
    .describe('how gradients travel: bf16 halves the bytes, with error feedback'),
  bucketBytes: count
    .default(4_194_304)
    .describe('about this many bytes of gradients travel together, while later ones are still computed'),
  directBytes: z
    .int()
    .min(0)
    .default(131_072)
    .describe('a small all-reduce may send this much more than the least possible, to save a hop'),
  ringBytes: z
    .int()
    .min(0)
    .default(1_572_864)
    .describe('from this payload on collectives use the ring, below it every rank talks to every other'),
  hierarchicalBytes: z
    .int()
    .min(0)
    .default(65_536)
    .describe(
      'from this payload on collectives go within hosts and across in separate phases, where ranks share hosts',
    ),
});

export const configSchema = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'letters, digits, dots, dashes and underscores')
    .default('run')
    .describe('names the run; its folder is runs/<name>'),
  seed: z.int().min(0).default(1).describe('decides every random choice'),
  workers: count.default(1).describe('worker processes'),
  batchSize: count.default(64).describe('images a step over all workers'),
  accumulate: count
    .default(1)
    .describe('micro-batches of batchSize images a step; the loss is the mean of their losses'),
  epochs: count.default(10),
  backend: z
    .enum(backends)
    .default('auto')
    .describe(`${backends.join(', ')}; auto is the first of native, wasm and cpu that works`),
  data: dataSchema,
  model: modelSchema,
  centroids: z
    .strictObject({
      seed: z.int().min(0).optional().describe('default: the seed of the run'),
      memoryMegabytes: z
        .int()
        .min(0)
        .default(256)
        .describe('centroids larger than this are made row by row where their construction allows it'),
    })
    .prefault({}),
  loss: lossSchema.prefault({}),
  batchNorm: z
    .strictObject({
      statistics: z
        .enum(['synchronised', 'local'])
        .default('synchronised')
        .describe('over all workers, or over each shard alone'),
      momentum: probability.default(0.9).describe('share of the old moving statistics kept a step'),
    })
    .prefault({}),
  optimizer: optimizerSchema.prefault({}),
  learningRate: scheduleSchema,
  evaluation: z
    .strictObject({
      batchSize: count.default(256).describe('images a pass on one worker, at most'),
      unknown: z
        .string()
        .min(1)
        .optional()
        .describe('folder of images of classes that are not trained, to measure how they are rejected'),
    })
    .prefault({}),
  checkpoint: z
    .strictObject({
      every: count.default(1).describe('epochs'),
      keep: count.optional().describe('newest checkpoints kept; default: all'),
    })
    .prefault({}),
  trace: z
    .string()
    .min(1)
    .optional()
    .describe('file for a Chrome trace of what every worker spends its time on (ui.perfetto.dev opens it)'),
  distributed: distributedSchema.prefault({}),
});

/** What a recipe says once defaults are filled in and everything is checked. */
export type Config = z.output<typeof configSchema>;
/** What a recipe may say. */
export type ConfigInput = z.input<typeof configSchema>;
export type DataConfig = Config['data'];
export type ModelConfig = Config['model'];
export type LearningRateConfig = Config['learningRate'];
export type LossConfig = Config['loss'];
export type OptimizerConfig = Config['optimizer'];
