import { z } from 'zod';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import type { Communicator } from '../collective/communicator.js';
import type { Config } from '../config/schema.js';
import type { Dataset } from '../data/dataset.js';
import { lossOf } from '../losses/index.js';
import { readCentroidFile } from '../pedcc/centroid-file.js';
import { inOrder, type CentroidLayout } from '../pedcc/layout.js';
import { CentroidSource } from '../pedcc/source.js';
import { UserError } from '../util/errors.js';
import { broadcastValue } from './broadcast-value.js';
import type { InitialWeights } from './initial.js';

interface LayoutOptions {
  config: Config;
  dataset: Pick<Dataset, 'classNames'>;
  communicator: Communicator;
  /** Rank 0's checkpoint to go on with. */
  resume?: Checkpoint;
  /** What rank 0 starts from otherwise. */
  initial?: InitialWeights;
  onNotice(line: string): void;
}

const whole = z.int().min(0);
const messageSchema = z.object({
  layout: z
    .object({
      total: whole,
      rows: z.array(whole).readonly(),
      absent: z.array(z.object({ name: z.string(), row: whole })).readonly(),
    })
    .nullable(),
  given: z.boolean(),
});

/**
 * Which centroids the classes of a run have, decided by rank 0, where a recipe reserves some, gives its own or goes on from a
 * checkpoint's classes; every rank calls it. Undefined: as many as there are classes, in order.
 *
 * @throws UserError `CENTROIDS_INVALID` or `CHECKPOINT_MISMATCH`, saying what to do
 */
export async function shareCentroids(options: LayoutOptions): Promise<CentroidLayout | undefined> {
  const { config, communicator, resume } = options;
  const { init, centroids, model, loss } = config;
  if (lossOf(loss).classWeights || !(init || centroids.file !== undefined || centroids.reserve > 0)) {
    if (communicator.rank === 0 && resume?.centroids)
      throw mismatch(
        "has classes with centroids of their own: give the run's own init and centroids settings",
      );
    return undefined;
  }
  const own = communicator.rank === 0 ? plan(options) : undefined;
  const { given, ...layout } = own ?? {};
  const message = { layout: (own ? layout : null) as CentroidLayout | null, given: given !== undefined };
  const root = communicator.rank === 0 ? message : undefined;
  const shared = await broadcastValue(messageSchema, root, 0, communicator);
  if (!shared.layout) return undefined;
  if (!shared.given) return shared.layout;
  const values = given?.slice() ?? new Float32Array(shared.layout.total * model.dim);
  await communicator.broadcast(values, 0, { tag: 'centroids' });
  return { ...shared.layout, given: values };
}

function plan({ config, dataset, resume, initial, onNotice }: LayoutOptions): CentroidLayout | undefined {
  const { centroids, model, init } = config;
  const { classNames } = dataset;
  if (resume) return resume.centroids;
  const checkpoint = initial?.checkpoint;
  if (checkpoint && init && keepsClasses(checkpoint, config, classNames)) {
    return goOn(checkpoint, { config, classNames, onNotice });
  }
  const classes = classNames.length;
  const ordinary = { total: classes + centroids.reserve, rows: inOrder(classes), absent: [] };
  if (centroids.file === undefined) return centroids.reserve > 0 ? ordinary : undefined;
  const given = readCentroidFile(centroids.file, { classes: ordinary.total, dim: model.dim });
  return { ...ordinary, total: given.length / model.dim, given };
}

/** Whether a run keeps the centroids of a checkpoint's classes. */
function keepsClasses(
  { config: old, classNames, centroids: before }: Checkpoint,
  { init, model, loss, centroids }: Config,
  names: readonly string[],
): boolean {
  if (init?.classes !== 'auto') return init?.classes === 'keep';
  const isTrained = [old.loss, loss].some((one) => lossOf(one).classWeights);
  const hasOwn = centroids.file !== undefined && !before?.given;
  const there = new Set(names);
  return !isTrained && !hasOwn && old.model.dim === model.dim && classNames.every((name) => there.has(name));
}

/** The centroids of a checkpoint's classes, by name, and free ones for the others. */
function goOn(
  checkpoint: Checkpoint,
  {
    config,
    classNames: names,
    onNotice,
  }: Pick<LayoutOptions, 'config' | 'onNotice'> & LayoutOptions['dataset'],
): CentroidLayout {
  const { classNames, config: old } = checkpoint;
  requireSameCentroids(checkpoint, config);
  const before = checkpoint.centroids ?? {
    total: classNames.length,
    rows: inOrder(classNames.length),
    absent: [],
  };
  const known = new Map(before.absent.map(({ name, row }) => [name, row]));
  classNames.forEach((name, label) => known.set(name, before.rows[label] ?? label));
  const taken = new Set(known.values());
  const free = inOrder(before.total).filter((row) => !taken.has(row));
  const added = names.filter((name) => !known.has(name));
  const short = added.length - free.length;
  const total = short > 0 ? before.total + short + config.centroids.reserve : before.total;
  const room = [...free, ...inOrder(total).slice(before.total)];
  for (const [index, name] of added.entries()) known.set(name, room[index] ?? total);
  const there = new Set(names);
  const layout: CentroidLayout = {
    total,
    rows: names.map((name) => known.get(name) ?? 0),
    absent: [...known].filter(([name]) => !there.has(name)).map(([name, row]) => ({ name, row })),
    ...(before.given ? { given: before.given } : {}),
  };
  const same = { ...layout, rows: before.rows, absent: [] };
  const isGrown = short > 0;
  const cannotGrow = isGrown && (before.given !== undefined || !makesAgain(checkpoint, same));
  if (cannotGrow)
    throw new UserError(
      'CENTROIDS_INVALID',
      `${added.length} classes are new (${listed(added)}), and the checkpoint has ${free.length} centroids left for them: others would move those of its ${classNames.length} classes; ` +
        `train it again with centroids.reserve ${added.length} or more, or start from its weights towards new centroids with init.classes new`,
    );
  if (!isGrown && !before.given && !makesAgain(checkpoint, same))
    throw mismatch(`was trained towards other centroids than are made here of seed ${old.seed}`);
  onNotice(
    `${known.size - added.length} classes keep their centroids, ${added.length} new ones have free ones, ${total - known.size} are left`,
  );
  return layout;
}

function requireSameCentroids({ config: old, centroids }: Checkpoint, config: Config): void {
  if (lossOf(old.loss).classWeights)
    throw mismatch(`was trained with ${old.loss.name}, which has no centroids: give init.classes new`);
  if (config.centroids.file !== undefined && !centroids?.given)
    throw mismatch('brings the centroids of its classes: leave centroids.file out, or give init.classes new');
  if (old.model.dim !== config.model.dim)
    throw mismatch(
      `has centroids of ${old.model.dim} dimensions: set model.dim to ${old.model.dim}, or give init.classes new`,
    );
  const [seed, own] = [old, config].map((one) => one.centroids.seed ?? one.seed);
  if (!centroids?.given && seed !== own)
    throw mismatch(
      `has the centroids of seed ${seed}: set centroids.seed to ${seed}, or give init.classes new`,
    );
  if (!centroids?.given && old.centroids.centred !== config.centroids.centred)
    throw mismatch(`was trained with centroids.centred ${old.centroids.centred}: set it alike`);
}

/** Whether so many centroids have those that the checkpoint's classes were trained towards, bit for bit. */
function makesAgain({ config, classNames, centroidsSha256 }: Checkpoint, layout: CentroidLayout): boolean {
  const { seed = config.seed, centred } = config.centroids;
  const options = { classes: classNames.length, dim: config.model.dim, seed, centred };
  return (
    new CentroidSource(options, config.centroids.memoryMegabytes * 1e6, layout).sha256() === centroidsSha256
  );
}

function listed(names: readonly string[]): string {
  return `${names.slice(0, 5).join(', ')}${names.length > 5 ? ', ...' : ''}`;
}

function mismatch(what: string): UserError {
  return new UserError('CHECKPOINT_MISMATCH', `the checkpoint of init.from ${what}`);
}
