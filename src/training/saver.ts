import { randomBytes } from 'node:crypto';
import { accessSync, constants, existsSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { z } from 'zod';
import { intervalOf, retentionOf, type Interval } from '../config/checkpoint-schema.js';
import { checkpointName } from '../checkpoint/checkpoint.js';
import { listCheckpoints } from '../checkpoint/checkpoints.js';
import type { Described } from '../checkpoint/files.js';
import type { Destination, FinishOne, RunFacts } from '../checkpoint/save.js';
import { CheckpointWriter } from '../checkpoint/writer.js';
import type { EvaluationTotals } from '../evaluation/totals.js';
import type { Modules } from '../checkpoint/modules.js';
import { ownerOf } from '../record/job-state.js';
import type { SavedPart } from '../record/reported.js';
import { noTracer } from '../trace/tracer.js';
import { messageOf } from '../util/errors.js';
import { readRegularText } from '../util/regular-file.js';
import { broadcastValue } from './broadcast-value.js';
import { Copier, type Copy } from './checkpoint-copy.js';
import type { Trained } from './snapshot.js';
import type { TrainingState } from './state.js';
import type { TrainOptions } from './train-options.js';

/** Rank 0's folder of checkpoints, and the end of the names of files on their way into it. */
const placeSchema = z.object({ folder: z.string(), tag: z.string().regex(/^[0-9a-f]{12}$/) });

/** Milliseconds that a stopped job waits for a checkpoint that is being written. */
const closeWithinMs = 2000;

/**
 * Writes the checkpoints of a run, beside the training.
 *
 *     1. each rank copies its shards of weights and optimiser state, 4 (k + 1) P / N bytes, and goes on
 *     2. its writer thread writes the copy into a temporary folder of the run
 *     3. each rank tells the coordinator the digest of its file, or why there is none
 *     4. once all have, rank 0's thread adds the manifest and gives the folder its name; one file too few: nothing stays
 *
 * So a checkpoint is whole or is not there, whichever process ends when. Where a rank does not see rank 0's folder, the
 * copies travel to rank 0 in (1), which writes all files. A checkpoint that cannot be written costs a line, not the run.
 */
export class Saver {
  private readonly writer: CheckpointWriter;
  private readonly interval: Interval;
  private writing: Promise<void> = Promise.resolve();
  private underWay = false;
  /** In rank 0: why the last checkpoint is not on disk. */
  private failure: string | undefined;
  private broken: Error | undefined;
  private closed = false;
  private lastSaved = performance.now();
  /** Epochs of the last checkpoint, where it is one of the end of an epoch. */
  private savedEpochs: number | undefined;
  private readonly copier: Copier;
  private readonly owner: Destination['owner'];

  private constructor(
    private readonly options: TrainOptions & { modules: Modules; stepsPerEpoch: number },
    private readonly trained: Trained,
    /** Folder of the run's checkpoints, and the tag of this process's writes. */
    private readonly place: { folder: string; tag: string },
    /** Whether every rank writes into that folder. */
    together: boolean,
    facts: RunFacts,
  ) {
    const { distributed, checkpoint } = options.config;
    this.writer = new CheckpointWriter(distributed.phaseTimeoutSeconds * 1000, facts);
    this.interval = intervalOf(checkpoint);
    this.copier = new Copier(trained, options.stepsPerEpoch, together);
    if (trained.communicator.rank === 0) this.owner = ownerOf(options.outDir);
  }

  /** Every rank calls it. */
  static async create(
    options: TrainOptions & { modules: Modules; stepsPerEpoch: number },
    trained: Trained,
  ): Promise<Saver> {
    const { communicator } = trained;
    const own = { folder: resolve(options.outDir, 'checkpoints'), tag: randomBytes(6).toString('hex') };
    const given = communicator.rank === 0 ? own : undefined;
    const probe = ({ folder, tag }: typeof own) => join(folder, `.probe.${tag}`);
    if (given) attempt(() => writeFileSync(probe(given), given.tag));
    const place = await broadcastValue(placeSchema, given, 0, communicator);
    const sees = attempt(() => {
      accessSync(place.folder, constants.W_OK);
      return readRegularText(probe(place), { mostBytes: 100 }) === place.tag;
    });
    const apart = Float64Array.of(sees === true ? 0 : 1);
    await communicator.allReduce(apart, { op: 'max', tag: 'checkpoint/folder' });
    if (given) attempt(() => rmSync(probe(given), { force: true }));
    const together = communicator.worldSize === 1 || apart[0] === 0;
    return new Saver(options, trained, place, together, await factsOf(options, trained));
  }

  /** Whether this rank still writes the last checkpoint. */
  get busy(): boolean {
    return this.underWay;
  }

  /** Whether a checkpoint is due after so many steps, or epochs: the same on all ranks. */
  isDue({ epochs, steps }: TrainingState): boolean {
    const { config, stepsPerEpoch } = this.options;
    const { count, unit } = this.interval;
    if (steps === 0 && epochs === config.epochs) return true;
    if (unit === 'steps') return (epochs * stepsPerEpoch + steps) % count === 0;
    return unit === 'epochs' && steps === 0 && epochs % count === 0;
  }

  /** Whether one is due by this rank's clock. */
  get isTime(): boolean {
    const { count, unit } = this.interval;
    return unit === 'minutes' && performance.now() - this.lastSaved >= count * 60_000;
  }

  /** Copies the training as it is after a step, on every rank, and begins to write it; the last one is on disk. */
  async save(state: TrainingState): Promise<void> {
    const { tracer = noTracer } = this.options;
    const began = tracer.now();
    this.lastSaved = performance.now();
    this.savedEpochs = state.steps === 0 ? state.epochs : undefined;
    this.underWay = true;
    const copy = await this.copier.copy(state);
    this.writing = this.write(copy)
      .catch((error: unknown) => void (this.broken ??= error as Error))
      .finally(() => (this.underWay = false));
    tracer.span('compute', 'checkpoint', began, { epoch: state.epochs });
  }

  /** Saves the end of an epoch, which turns out to be the last one, unless it is saved; every rank calls it, once `written`. */
  async saveLast(state: TrainingState): Promise<void> {
    if (this.savedEpochs === state.epochs) return;
    await this.save(state);
    await this.written();
  }

  /** Resolves once this rank has written its part; in rank 0, once the checkpoint is whole or given up. */
  async written(): Promise<void> {
    await this.writing;
    if (this.broken !== undefined) throw this.broken;
  }

  /**
   * Resolves, on every rank, once the last checkpoint is whole or given up, with whether it is whole. The ranks wait for the
   * coordinator, not in a collective with a deadline.
   */
  async settled(): Promise<boolean> {
    const { reporter } = this.options;
    const { communicator } = this.trained;
    reporter.lengthy('save the checkpoint');
    await this.written();
    await reporter.agree('checkpoint', 'written');
    const failed = Float64Array.of(this.failure === undefined ? 0 : 1);
    await communicator.broadcast(failed, 0, { tag: 'checkpoint/failed' });
    return failed[0] === 0;
  }

  /** In rank 0: adds the evaluation to the checkpoint after so many epochs, where there is one, and drops old ones. */
  addEvaluation(epochs: number, totals: EvaluationTotals): void {
    const name = checkpointName({ epochs });
    const folder = join(this.place.folder, name);
    if (!existsSync(folder)) return;
    this.underWay = true;
    this.writing = this.writing
      .then(() => this.writer.run({ kind: 'evaluation', folder, totals }))
      .then(() => this.prune(name))
      .catch((error: unknown) => this.miss(`the evaluation of ${name}`, messageOf(error)))
      .finally(() => (this.underWay = false));
  }

  /**
   * Ends the thread, after what it has begun to write where that does not take long. In an elastic job, which goes on, the
   * thread ends once it has written that, and nothing more is reported: the next configuration may be there by then.
   */
  async close(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, closeWithinMs)));
    await Promise.race([this.writing, late]);
    clearTimeout(timer);
    this.closed = true;
    if (this.underWay && this.options.recovery) void this.writing.then(() => this.writer.close());
    else await this.writer.close();
  }

  /** Reports to the coordinator, as long as this configuration is in place. */
  private record(news: Parameters<TrainOptions['reporter']['record']>[0]): void {
    if (!this.closed) this.options.reporter.record(news);
  }

  private async write({ layout, files, sums, moving, about, within }: Copy): Promise<void> {
    const { communicator } = this.trained;
    const name = within
      ? checkpointName({ ...about, within: { ...within, lossSums: [] } })
      : checkpointName(about);
    const to: Destination = { ...this.place, name, owner: this.owner };
    const part: SavedPart = { name, shards: [], sums };
    try {
      for (const { rank, numbers } of files)
        part.shards.push(await this.writer.run({ kind: 'shard', to, rank, numbers }));
    } catch (error) {
      part.failed = messageOf(error);
    }
    if (this.closed) return;
    const parts = await this.options.reporter.gather('saved', part, { aside: true });
    if (communicator.rank > 0) return;
    const failed = parts.find((one) => one.failed !== undefined);
    const shards = parts.flatMap((one): Described[] => one.shards);
    const lossSums = parts.map((one) => one.sums);
    const finish: FinishOne = {
      about: { ...about, ...(within ? { within: { ...within, lossSums } } : {}) },
      ...{ layout, shards, moving },
    };
    try {
      if (failed) throw new Error(failed.failed);
      await this.writer.run({ kind: 'finish', to, finish });
    } catch (error) {
      await this.writer.run({ kind: 'discard', to }).catch(() => {});
      await this.miss(`the checkpoint ${name}`, messageOf(error));
      this.failure = messageOf(error);
      return;
    }
    this.failure = undefined;
    const { epochs } = about;
    this.record({ kind: 'checkpoint', name, epochs, steps: within?.steps ?? 0 });
    await this.prune(name);
  }

  /** Removes old checkpoints, and leftovers of writes; not once the next configuration writes, whose folder looks like one. */
  private async prune(name: string): Promise<void> {
    if (this.closed) return;
    const { folder } = this.place;
    const rules = retentionOf(this.options.config.checkpoint);
    const task = {
      kind: 'prune',
      runFolder: resolve(folder, '..'),
      rules,
      written: join(folder, name),
    } as const;
    await this.writer.run(task).catch(() => {});
  }

  /** Says that something could not be written, and which checkpoints there are. */
  private async miss(what: string, why: string): Promise<void> {
    const { outDir } = this.options;
    const whole = await listCheckpoints(outDir).catch(() => []);
    const names = whole.map((folder) => basename(folder));
    const shown = names.length > 5 ? [...names.slice(0, 2), '...', ...names.slice(-2)] : names;
    const message =
      `cannot write ${what} to ${join(outDir, 'checkpoints')}: ${why}; the training goes on; checkpoints there: ` +
      `${shown.join(', ') || 'none'}; make room, or mend the folder (a smaller checkpoint.keep keeps fewer)`;
    this.record({ kind: 'missed', message: message.slice(0, 1000) });
  }
}

async function factsOf(
  { config, dataset, modules }: TrainOptions & { modules: Modules },
  { classifier, communicator }: Trained,
): Promise<RunFacts> {
  const { name, labels, classNames, shape } = dataset;
  const data = { name, images: labels.train.length, fingerprint: await dataset.fingerprint() };
  const { parameters, centroidsSha256, centroidLayout } = classifier;
  const { worldSize } = communicator;
  const { slots } = parameters;
  const about = { seed: config.seed, worldSize, classNames, shape, data, centroidsSha256, config, slots };
  return { about: centroidLayout ? { ...about, centroids: centroidLayout } : about, modules };
}

/** Result of `work`; undefined where it throws. */
function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
