import { join } from 'node:path';
import { z } from 'zod';
import { differingRules, type Config } from '../config/schema.js';
import type { Dataset } from '../data/dataset.js';
import { UserError } from '../util/errors.js';
import { readRegularText } from '../util/regular-file.js';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { changedModules } from '../checkpoint/modules.js';
import { findCheckpoint, listCheckpoints } from '../checkpoint/checkpoints.js';
import { isStopped, stoppingOf } from './early-stop.js';

/** Most bytes of `report.json`, names of devices included. */
const mostReportBytes = 16 * 2 ** 20;

/**
 * The newest whole checkpoint of a run folder; undefined where there is none at all and none is required. Where there
 * are some, but none is whole, it throws: no run starts over them.
 *
 * @throws UserError `CHECKPOINT_NOT_FOUND`
 */
export async function checkpointToResume(
  folder: string,
  wanted: 'start' | 'must' | undefined,
  notify: (line: string) => void,
): Promise<Checkpoint | undefined> {
  if (wanted === 'start' && (await listCheckpoints(folder)).length === 0) return undefined;
  return (await findCheckpoint(folder, notify)).checkpoint;
}

/** Refuses a checkpoint that this configuration cannot go on from. */
export function checkResumable(checkpoint: Checkpoint, config: Config): void {
  const [ownModel, model] = [checkpoint.config.model, config.model].map(describeModel);
  if (ownModel !== model)
    throw mismatch(
      `holds another model (${ownModel}) than the configuration: give the run's own config.yaml`,
    );
  const [differing] = differingRules(checkpoint.config.data, config.data);
  if (differing !== undefined) {
    const value = checkpoint.config.data[differing];
    throw mismatch(
      `was trained with data.${differing} ${value}, the configuration says ${config.data[differing]}: set data.${differing} to "${value}"`,
    );
  }
  const { name } = checkpoint.config.optimizer;
  if (name !== config.optimizer.name)
    throw mismatch(`was trained by ${name}, the configuration says optimizer.name ${config.optimizer.name}`);
  if (checkpoint.seed !== config.seed)
    throw mismatch(`was trained with seed ${checkpoint.seed}, the configuration says ${config.seed}`);
  for (const name of ['batchSize', 'accumulate'] as const)
    if (checkpoint.within && checkpoint.config[name] !== config[name])
      throw mismatch(
        `is of the middle of an epoch with ${name} ${checkpoint.config[name]}, the configuration says ${config[name]}: change it at the end of an epoch`,
      );
  for (const name of ['reserve', 'file'] as const) {
    const [before, after] = [checkpoint.config, config].map(({ centroids }) => centroids[name] ?? 'none');
    if (before !== after)
      throw mismatch(
        `was trained with centroids.${name} ${before}, the configuration says ${after}: init.from goes on from it in another run`,
      );
  }
  const [own, given] = [checkpoint.config, config].map(({ centroids, seed }) => centroids.seed ?? seed);
  if (own !== given)
    throw mismatch(
      `was trained towards the centroids of seed ${own}, the configuration says centroids.seed ${given}`,
    );
}

/**
 * Refuses to go on with a run that has trained all its epochs and has its report.
 *
 * @throws UserError `RUN_COMPLETE`
 */
export function checkUnfinished(folder: string, checkpoint: Checkpoint, { epochs, stop }: Config): void {
  if (isStopped(stoppingOf(checkpoint, stop), stop) && reportedEpochs(folder) === checkpoint.epochs)
    throw new UserError(
      'RUN_COMPLETE',
      `the run has ended early, after ${checkpoint.epochs} of ${epochs} epochs, as no epoch was better by stop.metric: ` +
        'give a larger stop.patience to train on',
    );
  if (checkpoint.epochs < epochs || (checkpoint.epochs === epochs && reportedEpochs(folder) !== epochs))
    return;
  throw new UserError(
    'RUN_COMPLETE',
    `the run has already trained ${checkpoint.epochs} of ${epochs} epochs: give more --epochs to train on`,
  );
}

/**
 * Refuses a data set of other classes, or of images of another size, than a checkpoint was trained on, in a line that
 * names what differs.
 *
 * @throws UserError `CHECKPOINT_MISMATCH`
 */
export function checkSameData(
  checkpoint: Pick<Checkpoint, 'classNames' | 'shape' | 'data' | 'within'>,
  dataset: Dataset,
): void {
  const differences = [
    describePosition(checkpoint, dataset),
    describeShapes(checkpoint.shape, dataset.shape),
    describeClasses(checkpoint.classNames, dataset.classNames),
  ].filter((text) => text !== undefined);
  if (differences.length > 0)
    throw mismatch(
      `does not fit the data set ${dataset.name}: ${differences.join('; ')}; give the data set that it was trained on`,
    );
}

/** Changes since a checkpoint was written, in one line; undefined where there are none. */
export async function describeChanges(
  checkpoint: Checkpoint,
  after: Config,
  dataset: Dataset,
): Promise<string | undefined> {
  const { config: before, data } = checkpoint;
  const [old, now] = [flatten(before), flatten(after)];
  const changes = [...new Set([...old.keys(), ...now.keys()])]
    .filter((path) => old.get(path) !== now.get(path))
    .map((path) => `${path} ${old.get(path) ?? 'unset'} -> ${now.get(path) ?? 'unset'}`);
  const images = dataset.labels.train.length;
  if (data && data.fingerprint !== (await dataset.fingerprint()))
    changes.push(data.images === images ? 'other images' : `training images ${data.images} -> ${images}`);
  for (const name of changedModules(checkpoint, after)) changes.push(`the content of ${name}`);
  return changes.length > 0 ? `changed since the checkpoint: ${changes.join(', ')}` : undefined;
}

/** In the middle of an epoch the images must be as many as before: their order is another otherwise. */
function describePosition(
  { within, data }: Pick<Checkpoint, 'within' | 'data'>,
  dataset: Dataset,
): string | undefined {
  if (!within || !data || data.images === dataset.labels.train.length) return undefined;
  return `it has ${dataset.labels.train.length} training images, and the checkpoint is of the middle of an epoch with ${data.images}`;
}

function mismatch(what: string): UserError {
  return new UserError('CHECKPOINT_MISMATCH', `the checkpoint ${what}`);
}

/** Describes a model by its settings, without the path of its module. */
function describeModel(model: Config['model']): string {
  return JSON.stringify(model.name === 'module' ? { ...model, path: undefined } : model);
}

function describeShapes(own: readonly number[], given: readonly number[]): string | undefined {
  if (own.join() === given.join()) return undefined;
  const [text, other] = [own, given].map(
    ([height, width, channels]) => `${height}x${width}, ${channels} channels`,
  );
  return `images are ${other}, it was trained on ${text}`;
}

function describeClasses(own: readonly string[], given: readonly string[]): string | undefined {
  if (own.length === given.length && own.every((name, label) => name === given[label])) return undefined;
  const [known, there] = [new Set(own), new Set(given)];
  const gone = own.filter((name) => !there.has(name));
  const added = given.filter((name) => !known.has(name));
  if (gone.length === 1 && added.length === 1) return `the class ${gone[0]} is now named ${added[0]}`;
  const parts = [
    gone.length > 0 ? `without ${listed(gone)}` : '',
    added.length > 0 ? `with ${listed(added)} besides` : '',
  ].filter(Boolean);
  const count = `${given.length} classes where it knows ${own.length}`;
  return parts.length > 0 ? `${count}, ${parts.join(' and ')}` : 'the classes are in another order';
}

function listed(names: readonly string[]): string {
  const rest = names.length - 5;
  return `${names.slice(0, 5).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
}

function reportedEpochs(folder: string): number | undefined {
  try {
    const text = readRegularText(join(folder, 'report.json'), { mostBytes: mostReportBytes });
    return z.object({ epochs: z.int().min(0) }).parse(JSON.parse(text)).epochs;
  } catch {
    return undefined;
  }
}

function flatten(value: unknown, path = '', into = new Map<string, string>()): Map<string, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    if (value !== undefined) into.set(path, typeof value === 'string' ? value : JSON.stringify(value));
    return into;
  }
  for (const [key, child] of Object.entries(value)) flatten(child, path ? `${path}.${key}` : key, into);
  return into;
}
