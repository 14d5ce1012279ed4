import { PreemptedError } from '../util/errors.js';
import { endCauses, type EndCause } from '../util/signals.js';
import { checkpointName } from '../checkpoint/checkpoint.js';
import type { Saver } from './saver.js';
import type { Trained } from './snapshot.js';
import type { TrainingState } from './state.js';
import type { TrainOptions } from './train-options.js';

/** Milliseconds from one look to the next, about. */
const lookEveryMs = 200;
/** Steps from one look to the next, at most. */
const mostSteps = 1000;

/**
 * Decides after which steps checkpoints are written, and after which the job ends early.
 *
 * The ranks look together, in one all-reduce (maximum) of a few numbers: whether a signal or the time limit asks any of them
 * for the end, whether a checkpoint is due by rank 0's clock, whether any of them still writes the last one, and after how
 * many steps rank 0 wants to look again. They look after each step at which a checkpoint is due by number, which all know,
 * and after as many steps as the last look came to: at first each step, then about five times a second.
 *
 * Why it is right: whether to look depends on the step and the last look's result alone, which are the same on all ranks. So
 * all look after the same steps, get the same numbers and do the same; nothing else of a step depends on a clock, and copies
 * change nothing that is trained. Cost: one small all-reduce every 0.2 s, 0.05 % at 0.1 ms each; with one worker none.
 */
export class Lookout {
  private steps = 0;
  private nextLook = 1;
  private lookedAt = performance.now();
  /** A checkpoint is due, but the last one was not on disk yet. */
  private overdue = false;

  constructor(
    private readonly options: TrainOptions & { stepsPerEpoch: number },
    private readonly trained: Trained,
    private readonly saver: Saver,
  ) {}

  /** Called by every rank after each step but the last one of an epoch. */
  async afterStep(state: TrainingState): Promise<void> {
    this.steps++;
    const due = this.saver.isDue(state);
    if (!due && this.steps < this.nextLook) return;
    const seen = this.look();
    if (seen.ending) return this.end(seen.ending, state);
    this.overdue ||= due || seen.isTime;
    if (this.overdue && !seen.busy) await this.save(state);
  }

  /** Called by every rank at the end of each epoch, before its evaluation; `must`: a checkpoint is due in any case. */
  async afterEpoch(state: TrainingState, must: boolean): Promise<void> {
    this.steps++;
    const seen = this.look();
    if (seen.ending) return this.end(seen.ending, state);
    if (!must && !this.overdue && !seen.isTime && !this.saver.isDue(state)) return;
    if (seen.busy) await this.saver.settled();
    await this.save(state);
    if (must) await this.saver.settled();
  }

  private async save(state: TrainingState): Promise<void> {
    this.overdue = false;
    await this.saver.save(state);
  }

  private async end(by: EndCause, state: TrainingState): Promise<never> {
    const { outDir, stepsPerEpoch } = this.options;
    await this.saver.settled();
    await this.saver.save(state);
    const whole = await this.saver.settled();
    const { epochs, steps } = state;
    const step = epochs * stepsPerEpoch + steps;
    const within = steps > 0 ? { steps, step, lossSum: 0, lossSums: [] } : undefined;
    const name = checkpointName({ epochs, within });
    throw whole
      ? new PreemptedError(
          'PREEMPTED',
          `ended by ${by} with the checkpoint ${name}; --resume --out ${outDir} goes on from it`,
        )
      : new PreemptedError(
          'CHECKPOINT_MISSED',
          `ended by ${by}, but the checkpoint ${name} could not be written to ${outDir}; --resume goes on from the one before`,
        );
  }

  private look(): { ending?: EndCause; isTime: boolean; busy: boolean } {
    const { communicator } = this.trained;
    const { rank } = communicator;
    const { ending } = this.options;
    const cause = ending?.aborted ? 1 + Math.max(0, endCauses.indexOf(ending.reason as EndCause)) : 0;
    const isTime = rank === 0 && this.saver.isTime;
    const numbers = Float64Array.of(
      cause,
      Number(isTime),
      Number(this.saver.busy),
      rank === 0 ? this.stepsToLook() : 0,
    );
    communicator.allReduceSync(numbers, { op: 'max', tag: 'look' });
    this.steps = 0;
    const [end = 0, anyTime = 0, anyBusy = 0, nextLook = 0] = numbers;
    this.nextLook = nextLook;
    this.lookedAt = performance.now();
    return { ending: endCauses[end - 1], isTime: anyTime > 0, busy: anyBusy > 0 };
  }

  private stepsToLook(): number {
    if (this.trained.communicator.worldSize === 1) return 1;
    const stepMs = (performance.now() - this.lookedAt) / Math.max(1, this.steps);
    return Math.min(Math.max(1, Math.floor(lookEveryMs / stepMs)), 2 * this.nextLook, mostSteps);
  }
}
