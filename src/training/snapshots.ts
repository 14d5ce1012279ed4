import { noTracer, type Tracer } from '../trace/tracer.js';
import type { Held, Start } from './recovery-point.js';
import { openPieces, type Pieces } from './pieces.js';
import {
  longestPiece,
  pieceLayout,
  restoreSnapshot,
  takeSnapshot,
  type PieceLayout,
  type Snapshot,
  type Trained,
} from './snapshot.js';
import type { TrainingState } from './state.js';

/** Share of the time that snapshots may take, and seconds of steps that may have to be made again. */
const share = 0.005;
const mostReplaySeconds = 2;
/** Steps between snapshots where taking one changes how the next step rounds: by number, so that every run does the same. */
const everyRounding = 50;

export interface SnapshotOptions {
  /** Steps from one to the next; default: as many as keep their cost below 0.5 %, of at most two seconds together. */
  every?: number;
  /** Called with the moment of each snapshot, once it is taken. */
  onTaken?(at: number): void;
  /** Records snapshots, restores and steps that are made again; default: no tracing. */
  tracer?: Tracer;
}

/** Facts that the snapshots of one group share. */
interface SnapshotGroup {
  generation: number;
  stepsPerEpoch: number;
  layout: PieceLayout;
  pieces: Pieces;
}

/**
 * The last two snapshots of a rank, from group to group. Two suffice: a rank begins to overwrite the older one only after
 * steps in which every rank has taken part, and so has every piece of the newer one.
 */
export class Snapshots {
  /** Newest first. */
  private kept: Snapshot[] = [];
  private group: SnapshotGroup | undefined;
  /** Steps until the next one. */
  private left = 0;
  private lastEnded: number | undefined;
  private stepsSince = 0;
  private readonly tracer: Tracer;
  /** Steps that this rank has taken part in, as far as it has come in any group. */
  private reached = 0;
  /** Steps so far and the time at which steps began to be made again; undefined where none are. */
  private replay: { from: number; began: number } | undefined;

  constructor(private readonly options: SnapshotOptions = {}) {
    this.tracer = options.tracer ?? noTracer;
  }

  /** Begins with a group of this generation, from the snapshot that `start` names where there is one. */
  async begin(
    trained: Trained,
    { generation, stepsPerEpoch, start }: { generation: number; stepsPerEpoch: number; start?: Start },
  ): Promise<TrainingState | undefined> {
    this.lastEnded = undefined;
    const began = this.tracer.now();
    const state = start && (await this.restore(trained, start));
    const layout = pieceLayout(trained);
    const pieces = await openPieces(trained.communicator, longestPiece(layout));
    this.group = { generation, stepsPerEpoch, layout, pieces };
    if (!state) return undefined;
    const from = this.stepOf(state);
    this.tracer.span('incidents', 'restore', began, { generation, step: from });
    this.replay = from < this.reached ? { from, began: this.tracer.now() } : undefined;
    return state;
  }

  /** Ends with the present group; returns the snapshots that this rank has, newest first. */
  leave(): Held[] {
    const { group } = this;
    this.group = undefined;
    if (group && !this.kept.some(({ pieces }) => pieces === group.pieces)) group.pieces.close();
    return this.kept.map(({ at, generation, rank, common, pieces }) => {
      pieces.settle();
      return { at, generation, rank, worldSize: common.layout.worldSize, copy: pieces.hasCopy(at) };
    });
  }

  /** Called by every rank after each step but the last one of an epoch; takes a snapshot where one is due. */
  async afterStep(trained: Trained, state: TrainingState): Promise<void> {
    const fixed = this.fixedSteps(trained);
    const step = this.stepOf(state);
    this.noticeReplay(step);
    this.stepsSince++;
    this.left--;
    const due = fixed === undefined ? this.left <= 0 : step % fixed === 0;
    if (due) await this.take(trained, state);
  }

  /** Takes a snapshot of what `state` has come to. */
  async take(trained: Trained, state: TrainingState): Promise<void> {
    const began = performance.now();
    const traced = this.tracer.now();
    const former = this.kept.at(1);
    this.noticeReplay(this.stepOf(state));
    const taken = await takeSnapshot(trained, state, { ...(this.group as SnapshotGroup), former });
    this.keep([taken, ...this.kept.slice(0, 1)]);
    this.tracer.span('compute', 'snapshot', traced, { step: this.stepOf(state) });
    this.plan(trained, performance.now() - began, began);
    this.options.onTaken?.(taken.at);
  }

  /** Takes down how long steps were made again that had been made in a group before. */
  private noticeReplay(step: number): void {
    const { replay } = this;
    if (replay && step >= this.reached) {
      this.tracer.span('incidents', 'replay', replay.began, { steps: step - replay.from });
      this.replay = undefined;
    }
    this.reached = Math.max(this.reached, step);
  }

  /** Starts every rank from the snapshot that `start` names; the other one is not all there, and must not stay. */
  private async restore(trained: Trained, start: Start): Promise<TrainingState> {
    const own = this.kept.find(({ at, generation }) => at === start.at && generation === start.generation);
    this.keep(own ? [own] : []);
    return restoreSnapshot(trained, own, start);
  }

  private keep(snapshots: Snapshot[]): void {
    const before = new Set(this.kept.map(({ pieces }) => pieces));
    this.kept = snapshots;
    for (const pieces of before)
      if (pieces !== this.group?.pieces && !snapshots.some((one) => one.pieces === pieces)) pieces.close();
  }

  private stepOf({ epochs, steps }: TrainingState): number {
    return epochs * (this.group?.stepsPerEpoch ?? 1) + steps;
  }

  /** Steps between snapshots where the number of the step decides, not the time. */
  private fixedSteps({ config }: Trained): number | undefined {
    return this.options.every ?? (config.distributed.wire === 'float32' ? undefined : everyRounding);
  }

  /** Decides, with all ranks, after how many steps the next one is due. */
  private plan(trained: Trained, took: number, began: number): void {
    if (this.fixedSteps(trained) !== undefined) return;
    const perStep =
      this.lastEnded === undefined ? 0 : (began - this.lastEnded) / Math.max(1, this.stepsSince);
    const times = Float64Array.of(took, perStep);
    trained.communicator.allReduceSync(times, { op: 'max', tag: 'snapshot/times' });
    const [slowest = took, slowestStep = perStep] = times;
    this.left = stepsFor(slowest, slowestStep);
    this.stepsSince = 0;
    this.lastEnded = performance.now();
  }
}

/** Steps until the next snapshot, of milliseconds that one takes and a step takes. */
function stepsFor(took: number, perStep: number): number {
  if (perStep === 0) return 1;
  const most = Math.max(1, Math.floor((mostReplaySeconds * 1000) / perStep));
  return Math.min(Math.max(1, Math.ceil(took / (share * perStep))), most);
}
