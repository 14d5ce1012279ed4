import type { Held, Start } from './recovery-point.js';
import { restoreSnapshot, takeSnapshot, type Snapshot, type Trained } from './snapshot.js';
import type { TrainingState } from './state.js';

/** Share of the time that snapshots may take, and seconds of steps that may have to be made again. */
const share = 0.005;
const mostReplaySeconds = 2;
/** Steps between snapshots where taking one changes how the next step rounds: by number, so that every run does the same. */
const everyRounding = 50;

export interface SnapshotOptions {
  /** Steps from one to the next; default: as many as keep their cost below 0.5 %, of at most two seconds together. */
  every?: number;
}

/**
 * The last two snapshots of a rank, from group to group. Two suffice: a rank begins to overwrite the older one only after
 * steps in which every rank has taken part, and so has every piece of the newer one.
 */
export class Snapshots {
  private kept: Snapshot[] = [];
  private generation = 0;
  private stepsPerEpoch = 1;
  /** Steps until the next one. */
  private left = 0;
  private lastEnded: number | undefined;
  private stepsSince = 0;

  constructor(private readonly options: SnapshotOptions = {}) {}

  /** Begins with a group of this generation. */
  begin(generation: number, stepsPerEpoch: number): void {
    this.generation = generation;
    this.stepsPerEpoch = stepsPerEpoch;
    this.lastEnded = undefined;
  }

  /** The snapshots that this rank has, newest first. */
  get held(): Held[] {
    return this.kept
      .map(({ at, generation, rank, common: { worldSize } }) => ({ at, generation, rank, worldSize }))
      .toSorted((a, b) => b.at - a.at);
  }

  /** Starts every rank from the snapshot that `start` names. */
  async restore(trained: Trained, start: Start): Promise<TrainingState> {
    const own = this.kept.find(({ at, generation }) => at === start.at && generation === start.generation);
    return restoreSnapshot(trained, own, start);
  }

  /** Called by every rank after each step; takes a snapshot where one is due. */
  async afterStep(trained: Trained, state: TrainingState): Promise<void> {
    const fixed = this.fixedSteps(trained);
    const step = state.epochs * this.stepsPerEpoch + state.steps;
    this.stepsSince++;
    this.left--;
    if (fixed === undefined ? this.left <= 0 : step % fixed === 0) await this.take(trained, state);
  }

  /** Takes a snapshot of what `state` has come to. */
  async take(trained: Trained, state: TrainingState): Promise<void> {
    const began = performance.now();
    const { generation, stepsPerEpoch } = this;
    const taken = await takeSnapshot(trained, state, { generation, stepsPerEpoch });
    const [last] = this.kept;
    this.kept = last ? [taken, last] : [taken];
    await this.plan(trained, performance.now() - began, began);
  }

  /** Steps between snapshots where the number of the step decides, not the time. */
  private fixedSteps({ config }: Trained): number | undefined {
    return this.options.every ?? (config.distributed.wire === 'float32' ? undefined : everyRounding);
  }

  /** Decides, with all ranks, after how many steps the next one is due. */
  private async plan(trained: Trained, took: number, began: number): Promise<void> {
    if (this.fixedSteps(trained) !== undefined) return;
    const perStep =
      this.lastEnded === undefined ? 0 : (began - this.lastEnded) / Math.max(1, this.stepsSince);
    const slowest = Float64Array.of(took, perStep);
    await trained.communicator.allReduce(slowest, { op: 'max', tag: 'snapshot/times' });
    this.left = stepsFor(slowest[0], slowest[1]);
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
