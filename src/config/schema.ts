import { z } from 'zod';
import { automaticNames, backendNames, listed } from '../backend/backends.js';
import { precisions } from '../backend/precision.js';
import { losses } from '../losses/index.js';
import { checkElastic, elasticSchema } from './elastic.js';
import { checkBitwise } from './bitwise.js';
import { checkMixing } from './mixing.js';
import { datasets } from '../data/index.js';
import { checkpointSchema } from './checkpoint-schema.js';
import { logSchema, metricsSchema } from './log-schema.js';
import { stopSchema } from './metrics.js';
import { distributedSchema } from '../collective/schema.js';
import { scheduleSchema } from '../optim/schedule-schema.js';
import { models } from '../models/index.js';
import type { PluginBackbones, PluginDatasets, PluginLosses } from './plugin-settings.js';
import { averageSchema, weightsChoices } from '../optim/average.js';
import { optimizerSchema } from '../optim/schema.js';
import { checkCentroids, tuningSettings } from './tuning-schema.js';
import { mostEpochs, mostImages, mostWorkers, path, probability, upTo, zeroTo } from '../util/bounds.js';

export type { DataConfig } from '../data/index.js';
export { differingRules, pixelRulesOf, pixelRulesSchema, type PixelRules } from '../data/pixel-rules.js';
export { distributedSchema } from '../collective/schema.js';
export { scheduleSchema, type LearningRateConfig } from '../optim/schedule-schema.js';
export type { LossConfig } from '../losses/index.js';
export { modelNames } from '../models/index.js';
export type { ModelConfig } from '../models/schema.js';
export { optimizerSchema, type OptimizerConfig } from '../optim/schema.js';

const choices = ['auto', ...backendNames] as const;

/** Modules of one recipe, at most. */
const mostPlugins = 100;

interface Sections<Data, Model, Loss> {
  data: Data;
  model: Model;
  loss: Loss;
}

/** Schema of all settings, with these schemas of the sections that registries decide. */
function settingsSchema<Data extends z.ZodType, Model extends z.ZodType, Loss extends z.ZodType>({
  data,
  model,
  loss,
}: Sections<Data, Model, Loss>) {
  return z.strictObject({
    name: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'letters, digits, dots, dashes and underscores')
      .max(100)
      .default('run')
      .describe('names the run; its folder is runs/<name>'),
    seed: z.int().min(0).default(1).describe('decides every random choice'),
    workers: upTo(mostWorkers).default(1).describe('worker processes'),
    batchSize: upTo(mostImages).default(64).describe('images a step over all workers'),
    accumulate: upTo(65_536)
      .default(1)
      .describe('micro-batches of batchSize images a step; the loss is the mean of their losses'),
    sampling: z
      .enum(['images', 'classes'])
      .default('images')
      .describe(
        'images: an epoch shows every image once; classes: all classes alike, for long tails, as many images in all',
      ),
    epochs: upTo(mostEpochs).default(10).describe('passes over the training images'),
    backend: z
      .enum(choices)
      .default('auto')
      .describe(`${choices.join(', ')}; auto is the first of ${listed(automaticNames)} that works`),
    capture: z
      .enum(['auto', 'off'])
      .default('auto')
      .describe('auto: training steps run as one graph where the backend can (native), with the same bits'),
    precision: z
      .enum(precisions)
      .default('float32')
      .describe(
        'of convolutions, matrix products and what lies between them; bf16 (native, on a processor with AMX or AVX-512 BF16) is faster; weights, sums, statistics and the loss are float32 always',
      ),
    plugins: z
      .array(path)
      .max(mostPlugins)
      .default([])
      .describe('modules that register losses, backbones or data sets of your own, beside the recipe'),
    data,
    model,
    ...tuningSettings,
    centroids: z
      .strictObject({
        seed: z.int().min(0).optional().describe('default: the seed of the run'),
        centred: z
          .boolean()
          .default(true)
          .describe(
            'beyond 2 d classes, in a closed form: a random sign for each centroid, so that their mean is near 0',
          ),
        reserve: zeroTo(1_000_000)
          .default(0)
          .describe('centroids besides, for classes that a later run adds (init.from)'),
        file: path
          .optional()
          .describe(
            '.npy file of centroids of your own, a unit vector a class in the order of their names; more are reserved',
          ),
        memoryMegabytes: zeroTo(10_000_000)
          .default(256)
          .describe('centroids larger than this are made row by row where their construction allows it'),
      })
      .prefault({}),
    loss,
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
    ema: averageSchema.prefault({}),
    evaluation: z
      .strictObject({
        batchSize: upTo(mostImages).default(256).describe('images a pass on one worker, at most'),
        mirror: z
          .boolean()
          .default(false)
          .describe(
            'average the directions of the features of each image and of its mirror image, for twice the time',
          ),
        weights: z
          .enum(weightsChoices)
          .default('average')
          .describe(
            'of evaluations, predictions and exports where ema.decay is set: their average, or as trained',
          ),
        unknown: path
          .optional()
          .describe('folder of images of classes that are not trained, to measure how they are rejected'),
      })
      .prefault({}),
    stop: stopSchema.prefault({}),
    checkpoint: checkpointSchema,
    run: z
      .strictObject({
        private: z
          .boolean()
          .default(true)
          .describe('only its owner may open the run folder; false: the umask decides'),
      })
      .prefault({}),
    trace: path
      .optional()
      .describe('file for a Chrome trace of what every worker spends its time on (ui.perfetto.dev opens it)'),
    log: logSchema,
    metrics: metricsSchema,
    elastic: elasticSchema.prefault({}),
    distributed: distributedSchema.prefault({}),
  });
}

function build() {
  return settingsSchema({
    data: datasets.schema,
    model: models.schema,
    loss: losses.schema.prefault({}),
  });
}

const checked = () =>
  build()
    .superRefine(checkBitwise)
    .superRefine(checkElastic)
    .superRefine(checkCentroids)
    .superRefine(checkMixing);

/**
 * The zod schema of a recipe: it checks a configuration and fills in defaults. Another schema takes its place whenever
 * something is registered, such as a loss.
 *
 * @example
 * import { configSchema, type Config } from 'pod-dist';
 *
 * const config: Config = configSchema.parse({
 *   learningRate: { schedule: 'constant', rate: 0.1 },
 *   data: { name: 'digits' },
 *   model: { name: 'small-cnn' },
 * });
 * console.log(config.batchSize, config.loss.name);
 */
export let configSchema = checked();

/** Takes over what has been registered, or taken out again. */
export function rebuildSchema(): void {
  configSchema = checked();
}

/**
 * Schema of settings that pod-dist has written. Where these name plug-ins, which need not be imported here, sections may
 * be of kinds that only the plug-ins know.
 */
export function storedSchema(settings: unknown): typeof configSchema {
  const { plugins } = (settings ?? {}) as { plugins?: unknown };
  if (!Array.isArray(plugins) || plugins.length === 0) return configSchema;
  const orForeign = (registry: { schema: z.ZodType; find(name: string): unknown }) =>
    z.union([
      registry.schema,
      z.looseObject({ name: z.string().refine((name) => registry.find(name) === undefined) }),
    ]);
  const sections = { data: orForeign(datasets), model: orForeign(models), loss: orForeign(losses) };
  return settingsSchema(sections) as unknown as typeof configSchema;
}

type AnySettings = ReturnType<typeof build>;

/** Settings of a recipe, checked, with defaults filled in. */
export type Config = z.output<AnySettings>;

type BuiltInInput = z.input<AnySettings>;

type OrDeclared<BuiltIn, Declared> = BuiltIn | Declared[keyof Declared];

/** Settings as a recipe may give them. */
export type ConfigInput = Omit<BuiltInInput, 'data' | 'model' | 'loss'> & {
  data: OrDeclared<BuiltInInput['data'], PluginDatasets>;
  model: OrDeclared<BuiltInInput['model'], PluginBackbones>;
  loss?: OrDeclared<BuiltInInput['loss'], PluginLosses>;
};
