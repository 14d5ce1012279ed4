import { resolve } from 'node:path';
import { datasets, type DatasetKind } from '../data/index.js';
import { losses, type LossKind } from '../losses/index.js';
import { models, type BackboneKind } from '../models/index.js';
import { UserError } from '../util/errors.js';
import type { Kind, Registry } from '../util/registry.js';
import { importModule, readModule, trustedModule, type StoredModule } from '../util/user-module.js';
import { readAssignment } from './assignment.js';
import { importRecipe, isCode } from './code-recipe.js';
import type { Override } from './layer.js';
import { settingsOf, type LoadOptions } from './load.js';
import { findRecipe, placeModules } from './recipe.js';
import { rebuildSchema, type Config } from './schema.js';
import type { z } from 'zod';

/** Origin of what is registered outside of any plug-in. */
const program = 'this program';

/** The plug-in being imported: its registrations are its own. */
let importing: { file: string; undo: (() => void)[] } | undefined;
/** Imports, one after the other. */
let queue: Promise<unknown> = Promise.resolve();
/** Files of the plug-ins imported so far, by digest: of several equal ones the first. */
const imported = new Map<string, string>();

/**
 * Registers a loss: `loss.name` of recipes may then be its name, and the other settings of its schema stand beside that. In
 * a file that a recipe's `plugins` names, every process of a job registers it; in a program, that program alone, which then
 * trains with one worker.
 *
 * @throws UserError `PLUGIN_INVALID` for an object that is no loss, or a name that is taken
 * @example
 * import { meanOverImages, registerLoss, tf, z } from 'pod-dist';
 *
 * // The mean of weight |z - W_y|^2 / 2.
 * registerLoss({
 *   name: 'squared-distance',
 *   schema: z.strictObject({ name: z.literal('squared-distance'), weight: z.number().positive().default(1) }),
 *   create: ({ weight }, { communicator, targets }) =>
 *     meanOverImages(communicator, (features, labels) => {
 *       const difference: tf.Tensor2D = tf.mul(tf.sub(features, targets.own(labels)), weight);
 *       const sum: tf.Scalar = tf.div(tf.sum(tf.square(difference)), 2 * weight);
 *       return { sum, gradients: () => [difference] };
 *     }),
 * });
 */
export function registerLoss<Schema extends z.ZodObject>(loss: LossKind<Schema>): void {
  add(losses, loss);
}

/**
 * Registers a backbone: `model.name` of recipes may then be its name. Its schema has a `dim`, the number of features. The
 * model is what `model: {name: module}` takes of a file: made with the `tf` that is given, each layer used once.
 *
 * @throws UserError `PLUGIN_INVALID` for an object that is no backbone, or a name that is taken
 * @example
 * import { registerBackbone, z } from 'pod-dist';
 *
 * registerBackbone({
 *   name: 'linear',
 *   schema: z.strictObject({ name: z.literal('linear'), dim: z.int().min(2).default(16) }),
 *   build: (_settings, { tf, shape, dim, seed }) => {
 *     const kernelInitializer = tf.initializers.heNormal({ seed });
 *     const layers = [
 *       tf.layers.flatten({ inputShape: [...shape] }),
 *       tf.layers.dense({ units: dim, kernelInitializer }),
 *     ];
 *     return tf.sequential({ layers });
 *   },
 * });
 */
export function registerBackbone<Schema extends z.ZodObject>(backbone: BackboneKind<Schema>): void {
  add(models, backbone);
}

/**
 * Registers a data set: `data.name` of recipes may then be its name. `storedDataset` and `imageFiles` do most of the work;
 * the settings that they need, `storedSettings` and `imageFileSettings`, are spread into its schema.
 *
 * @throws UserError `PLUGIN_INVALID` for an object that is no data set, or a name that is taken
 * @example
 * import { registerDataset, storedDataset, storedSettings, z } from 'pod-dist';
 *
 * // Images of 4x4 grey levels: dark ones and bright ones.
 * registerDataset({
 *   name: 'dark-and-bright',
 *   schema: z.strictObject({ name: z.literal('dark-and-bright'), images: z.int().default(8), ...storedSettings }),
 *   open: (config, { seed }) => {
 *     const labels = Int32Array.from({ length: config.images }, (_, image) => image % 2);
 *     const pixels = Uint8Array.from({ length: 16 * config.images }, (_, at) => 200 * labels[Math.floor(at / 16)]);
 *     const split = { pixels, labels };
 *     return storedDataset(
 *       {
 *         name: 'dark-and-bright',
 *         classNames: ['dark', 'bright'],
 *         shape: [4, 4, 1],
 *         white: 255,
 *         splits: { train: split, test: split },
 *       },
 *       config,
 *       seed,
 *     );
 *   },
 * });
 */
export function registerDataset<Schema extends z.ZodObject>(dataset: DatasetKind<Schema>): void {
  add(datasets, dataset);
}

function add<Any extends Kind>(registry: Registry<Any, readonly Kind[]>, kind: Kind): void {
  const undo = registry.register(kind as Any, importing?.file ?? program);
  importing?.undo.push(undo);
  rebuildSchema();
}

/** Plug-ins of a checkpoint or run folder, which its maker has chosen. */
export interface StoredPlugins {
  folder: string;
  /** Copies in the checkpoint, in the order of the recipe's `plugins`. */
  copies?: readonly StoredModule['copy'][];
  /** Import whatever the folder names. */
  allow: boolean;
}

/**
 * Imports the recipe, where it is code, and the plug-ins of settings, before `loadConfig` reads these: it then knows what
 * they register. With `stored` they are those of a folder, unless `set` or `flags` name others, and only what may be imported is.
 *
 * @returns settings to put over the others: the files that stored plug-ins were imported from
 * @throws UserError `PLUGIN_NOT_FOUND`, `PLUGIN_INVALID`, `MODULE_NOT_ALLOWED`
 */
export async function importPlugins(
  options: Pick<LoadOptions, 'file' | 'base' | 'set' | 'flags'>,
  stored?: StoredPlugins,
): Promise<Override[]> {
  const { file, base } = options;
  if (file !== undefined && !base && isCode(file)) await importRecipe(findRecipe(file));
  const named = namedPlugins(options);
  const paths = named ?? pluginsOf(settingsOf(options).settings);
  if (named || !stored) {
    for (const path of paths) await importPlugin(path);
    return [];
  }
  const { folder, copies = [], allow } = stored;
  const files = paths.map((path, index) => {
    const copy = copies.length === paths.length ? copies[index] : undefined;
    const advice = 'a file of your own with --set plugins=[PATH] (launch, worker, evaluate)';
    return trustedModule({ path, copy, folder, missing: 'PLUGIN_NOT_FOUND', advice }, allow);
  });
  for (const file of files) await importPlugin(file);
  return files.length > 0 ? [{ path: 'plugins', value: files, source: `the plug-ins of ${folder}` }] : [];
}

/** Absolute paths of the plug-ins of settings, as far as they are paths at all. */
export function pluginsOf({ plugins }: { plugins?: unknown }): string[] {
  if (!Array.isArray(plugins) || !plugins.every((path) => typeof path === 'string' && path !== '')) return [];
  return plugins.map((path: string) => resolve(path));
}

function namedPlugins({ set = [], flags = [] }: Pick<LoadOptions, 'set' | 'flags'>): string[] | undefined {
  const given = [...set.filter((text) => /^plugins\s*=/.test(text)).map(readAssignment), ...flags];
  const last = given.findLast(({ path }) => path === 'plugins');
  if (!last) return undefined;
  const settings = { plugins: last.value };
  placeModules(settings, '.');
  return pluginsOf(settings);
}

async function importPlugin(file: string): Promise<void> {
  const turn = queue.then(() => importNext(file));
  queue = turn.catch(() => {});
  return turn;
}

async function importNext(file: string): Promise<void> {
  const source = readModule(file, 'PLUGIN_NOT_FOUND');
  if (!source)
    throw new UserError('PLUGIN_NOT_FOUND', `no plug-in ${file}: plugins names .js, .mjs or .ts files`);
  if (imported.has(source.sha256)) return;
  if ([...imported.values()].includes(file))
    throw new UserError(
      'PLUGIN_INVALID',
      `${file} has changed since this process has imported it: start another process`,
    );
  const own: (() => void)[] = [];
  importing = { file, undo: own };
  try {
    await importModule(file, 'PLUGIN_INVALID');
    if (own.length === 0)
      throw new UserError(
        'PLUGIN_INVALID',
        `${file} registers nothing: it calls registerLoss, registerBackbone or registerDataset of pod-dist`,
      );
    imported.set(source.sha256, file);
  } catch (error) {
    for (const undo of own) undo();
    rebuildSchema();
    throw error;
  } finally {
    importing = undefined;
  }
}

/**
 * Refuses settings that other processes cannot read: with a loss, backbone or data set that this program has registered,
 * or that another run's plug-in has.
 *
 * @throws UserError `PLUGIN_INVALID`
 */
export function checkPlugins({ loss, model, data, plugins, workers }: Config): void {
  const known = plugins.map((path) => {
    const source = readModule(path, 'PLUGIN_NOT_FOUND');
    return source && imported.get(source.sha256);
  });
  const used = [
    ['loss', loss.name, losses.originOf(loss.name)],
    ['backbone', model.name, models.originOf(model.name)],
    ['data set', data.name, datasets.originOf(data.name)],
  ] as const;
  for (const [what, name, origin] of used) {
    if (origin === undefined || known.includes(origin) || (origin === program && workers === 1)) continue;
    throw new UserError(
      'PLUGIN_INVALID',
      origin === program
        ? `${what} ${name} is registered in this process alone, not in its workers: put it into a file that plugins names`
        : `${what} ${name} is registered by ${origin}: add this file to plugins`,
    );
  }
}
