import { PodDistError } from '../util/errors.js';
import type { Evaluation } from '../evaluation/schema.js';
import { summarise, type EvaluationPart } from '../evaluation/summary.js';
import { unpackSample } from '../evaluation/sample.js';
import { addTotals, epochMetricsOf, perClassAccuracy } from '../evaluation/totals.js';
import type { EpochRecord, Position, RankTimes, Recorded, Report } from './records.js';
import {
  gatherOf,
  readNews,
  readPart,
  type News,
  type EpochPart,
  type EpochResult,
  type FinishPart,
  type Gathers,
  type SavedPart,
} from './reported.js';
import type { RunListener } from './run-record.js';
import { largest } from '../util/extremes.js';
import { present } from '../util/present.js';

type Combiners = {
  readonly [Name in keyof Gathers]: (parts: readonly Gathers[Name]['part'][]) => Gathers[Name]['result'];
};

/** Lines about how ranks work that are shown, at most. */
const mostNotices = 100;

/**
 * The coordinator's side of a run: combines the ranks' parts into one result and passes it to the listeners.
 *
 * `epoch` adds up the evaluation totals, `evaluation` makes one full evaluation, `finish` the report.
 */
export class RunCombiner {
  /** The last full evaluation. */
  evaluation: Evaluation | undefined;
  private last: EpochRecord | undefined;
  private lastStep = -1;
  private lastCheckpoint: Position = { epochs: 0, steps: 0 };
  private readonly missed: string[] = [];
  private report: Report | undefined;
  private readonly combiners: Combiners = {
    epoch: (parts) => this.epoch(parts),
    evaluation: (parts) => this.evaluate(parts),
    finish: (parts) => this.finish(parts),
    saved: sameCheckpoint,
  };
  private readonly notices = new Set<string>();
  /** Losses of the steps so far, by step, for those that are made again. */
  private readonly losses = new Map<number, number>();
  private replaying = false;
  /** Steps that had been recorded when steps were last made again, and how many of them are. */
  lastReplay: { step?: number; replayed?: number } = {};

  /** @param keepLosses whether losses are kept, to compare those of steps that are made again */
  constructor(
    private readonly listeners: readonly RunListener[],
    private readonly keepLosses = false,
  ) {}

  /** Goes on with a run of which `steps` and epochs up to `last` are recorded: they may come once more. */
  goOn({ steps, last }: Recorded): void {
    for (const { step, loss } of steps) this.losses.set(step, loss);
    this.lastStep = steps.at(-1)?.step ?? -1;
    this.last = last;
    this.replaying = true;
  }

  /** Number of steps that are recorded. */
  get recordedSteps(): number {
    return this.lastStep + 1;
  }

  /** Makes one result of the parts of all ranks, by rank. */
  combine<Name extends keyof Gathers>(
    name: Name,
    parts: readonly Gathers[Name]['part'][],
  ): Gathers[Name]['result'] {
    return this.combiners[name](parts);
  }

  /** Checks a rank's part of a gather, as another process has sent it. */
  readonly readPart = (name: string, part: unknown): unknown => readPart(gatherOf(name), part);

  /** Makes one result of parts that `readPart` has returned. */
  readonly combineRead = (name: string, parts: readonly unknown[]): unknown =>
    this.combine(gatherOf(name), parts as readonly Gathers[keyof Gathers]['part'][]);

  /** Checks a rank's record and passes it to the listeners. Only rank 0 records steps and checkpoints, each once. */
  readonly record = (news: unknown, rank = 0): void => {
    const record = readNews(news);
    if (this.replaying && this.isReplayed(record)) return;
    if (record.kind === 'step') {
      if (this.keepLosses) this.losses.set(record.step, record.loss);
      if (rank !== 0 || record.step <= this.lastStep)
        throw new PodDistError('PROTOCOL_ERROR', `rank ${rank} records step ${record.step} out of turn`);
      this.lastStep = record.step;
    }
    if (record.kind === 'checkpoint') {
      if (rank !== 0 || !isAfter(record, this.lastCheckpoint))
        throw new PodDistError(
          'PROTOCOL_ERROR',
          `rank ${rank} records the checkpoint ${record.name} out of turn`,
        );
      this.lastCheckpoint = record;
    }
    if (record.kind === 'missed') this.missed.push(record.message);
    if (record.kind === 'notice') {
      if (this.notices.has(record.message) || this.notices.size === mostNotices) return;
      this.notices.add(record.message);
    }
    for (const listener of this.listeners) {
      if (record.kind === 'step') listener.step?.(record);
      else if (record.kind === 'checkpoint') listener.checkpoint?.(record);
      else if (record.kind === 'missed') listener.missed?.(record);
      else if (record.kind === 'notice') listener.notice?.(record);
      else listener.evaluating?.(record.images);
    }
  };

  /**
   * From now on steps, checkpoints and epochs may come once more, and are recorded once. Steps must come to the losses
   * that they had; without `sameBits`, where another number of ranks makes them, they may differ by rounding.
   *
   * @param from steps that had been made of which the ranks go on; absent where a checkpoint decides
   */
  replay({ sameBits, from }: { sameBits: boolean; from?: number }): void {
    this.replaying = true;
    const step = this.recordedSteps;
    this.lastReplay = { step, ...(from === undefined ? {} : { replayed: Math.max(0, step - from) }) };
    if (!sameBits) this.losses.clear();
  }

  /** Whether a record is of something that has been recorded before. */
  private isReplayed(record: News): boolean {
    if (record.kind === 'checkpoint') return !isAfter(record, this.lastCheckpoint);
    if (record.kind !== 'step' || record.step > this.lastStep) return false;
    const before = this.losses.get(record.step);
    if (before !== undefined && before !== record.loss)
      throw new PodDistError(
        'SILENT_CORRUPTION',
        `step ${record.step} had the loss ${before}, and has ${record.loss} now that it was made again from the same state: a processor or memory is at fault`,
      );
    return true;
  }

  private epoch(parts: readonly EpochPart[]): EpochResult {
    const totals = addTotals(parts.map((part) => part.totals));
    const { epoch, trainLoss } = first(parts);
    for (const [rank, other] of parts.entries())
      if (other.epoch !== epoch)
        throw new PodDistError(
          'RANKS_DISAGREE',
          `rank 0 ends epoch ${epoch + 1}, rank ${rank} epoch ${other.epoch + 1}`,
        );
    const again = epoch <= (this.last?.epoch ?? -1);
    if (again && !this.replaying)
      throw new PodDistError('PROTOCOL_ERROR', `the ranks end epoch ${epoch + 1} out of turn`);
    const ranks = parts.map((part) => part.times).filter((times) => times !== undefined);
    const { evalAccuracy, meanCosine } = epochMetricsOf(totals, trainLoss);
    const record: EpochRecord = {
      kind: 'epoch',
      epoch,
      trainLoss,
      evalCorrect: totals.correct,
      evalTotal: totals.total,
      evalAccuracy,
      perClassAccuracy: perClassAccuracy(totals),
      meanCosine,
      seconds: largest(parts.map((part) => part.seconds)),
      ...exposedShare(ranks),
    };
    if (again) return { record, totals };
    this.last = record;
    const times = ranks.length > 0 ? ({ kind: 'ranks', epoch, ranks } as const) : undefined;
    for (const listener of this.listeners) listener.epoch?.(record, totals, times);
    return { record, totals };
  }

  private evaluate(parts: readonly EvaluationPart[]): null {
    this.evaluation = summarise(parts);
    const samples = parts
      .filter(({ shared }) => shared.dim === this.evaluation?.dim)
      .map(({ sample }) => sample)
      .filter((sample) => sample !== undefined);
    const sample = samples.length > 0 ? unpackSample(samples, this.evaluation.dim) : undefined;
    for (const listener of this.listeners) listener.evaluated?.(this.evaluation, sample);
    return null;
  }

  private finish(parts: readonly FinishPart[]): Report {
    if (!this.last) throw new PodDistError('PROTOCOL_ERROR', 'the ranks finished before their first epoch');
    const own = first(parts);
    const ranks = parts.map((part) => part.times);
    const images = sum(ranks, 'images');
    const report: Report = {
      worldSize: parts.length,
      backend: own.backend,
      devices: parts.map((part) => part.device),
      parameters: own.parameters,
      epochs: own.epochs,
      evalCorrect: this.last.evalCorrect,
      evalTotal: this.last.evalTotal,
      evalAccuracy: this.last.evalAccuracy,
      samplesPerSecond: images > 0 ? images / largest(ranks.map(({ seconds }) => seconds)) : 0,
      ...exposedShare(ranks),
      centroidsSha256: own.centroidsSha256,
      weightsSha256: own.weightsSha256,
      ...(own.averageSha256 === undefined ? {} : { averageSha256: own.averageSha256 }),
      seconds: largest(parts.map((part) => part.seconds)),
    };
    for (const listener of this.listeners) listener.finished?.(this.withMissed(report));
    this.report = this.withMissed(report);
    return this.report;
  }

  /** Adds to the report what turns out to be missing once it is made; without a report nothing happens. */
  amend(missing: string): void {
    if (!this.report) return;
    this.missed.push(missing);
    this.report = this.withMissed(this.report);
    for (const listener of this.listeners) listener.amended?.(this.report);
  }

  /** The report with what the listeners so far could not write. */
  private withMissed(report: Report): Report {
    const missed = [...this.missed, ...this.listeners.flatMap(({ unwritten = [] }) => unwritten)];
    return missed.length > 0 ? { ...report, missed } : report;
  }
}

function sameCheckpoint(parts: readonly SavedPart[]): SavedPart[] {
  const { name } = first(parts);
  for (const [rank, other] of parts.entries())
    if (other.name !== name)
      throw new PodDistError('RANKS_DISAGREE', `rank 0 saves ${name}, rank ${rank} ${other.name}`);
  return [...parts];
}

function first<T>(parts: readonly T[]): T {
  return present(parts[0], 'the part of rank 0');
}

function isAfter(one: Position, other: Position): boolean {
  return one.epochs > other.epochs || (one.epochs === other.epochs && one.steps > other.steps);
}

/** Share of waiting over all ranks; absent for one worker, which waits for no other. */
function exposedShare(ranks: readonly RankTimes[]): { exposedShare?: number } {
  const seconds = sum(ranks, 'seconds');
  return ranks.length < 2 || seconds === 0 ? {} : { exposedShare: sum(ranks, 'exposedSeconds') / seconds };
}

function sum(ranks: readonly RankTimes[], name: keyof RankTimes): number {
  return ranks.reduce((total, times) => total + times[name], 0);
}
