import { z } from 'zod';
import { withAverages } from '../checkpoint/averages.js';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { checkFits } from '../checkpoint/fits.js';
import type { Classifier } from '../classifier/classifier.js';
import type { Communicator } from '../collective/communicator.js';
import type { Config } from '../config/schema.js';
import type { Loss } from '../losses/index.js';
import type { ShardedOptimiser } from '../parallel/sharded-optimiser.js';
import { present } from '../util/present.js';
import { broadcastValue } from './broadcast-value.js';
import { isStopped, stoppingOf } from './early-stop.js';
import { takeInitial, type InitialWeights } from './initial.js';
import { checkResumable } from './resume.js';
import { sumsOf } from './snapshot.js';
import { trainingStateSchema, type TrainingState } from './state.js';

interface ShareOptions {
  classifier: Classifier;
  loss: Loss;
  optimiser: ShardedOptimiser;
  communicator: Communicator;
  config: Config;
  /** Rank 0's checkpoint; without one the run starts afresh. */
  resume?: Checkpoint;
  /** Where the weights of a run that starts afresh come from, in rank 0. */
  initial?: InitialWeights;
  /** Names of the classes, for `initial`. */
  classNames?: readonly string[];
  onNotice?(line: string): void;
}

/**
 * Starts every rank from rank 0's state: initial weights, or a checkpoint's weights, optimiser state (and what
 * compression has kept back), moving statistics, epoch and the state of the loss. Only rank 0 needs access to the
 * checkpoint's files.
 */
export async function shareState({
  classifier,
  loss,
  optimiser,
  communicator,
  config,
  resume,
  initial,
  classNames = [],
  onNotice = () => {},
}: ShareOptions): Promise<TrainingState> {
  const { weights, batchNorm } = classifier;
  const { rank } = communicator;
  const moving = batchNorm.flatten();
  const averaged = config.ema.decay !== undefined;
  const given = rank === 0 && resume ? withAverages(resume, averaged) : undefined;
  if (given) {
    checkResumable(given, config);
    checkFits(given, classifier, config);
    weights.set(given.weights);
    moving.set(given.moving);
  } else if (initial) {
    takeInitial(initial, { classifier, classNames, moving, config, onNotice });
  }
  const own = rank === 0 ? startOf(resume, config, loss) : undefined;
  const start = await broadcastValue(startSchema, own, 0, communicator);
  await communicator.broadcast(weights, 0, { tag: 'weights' });
  await communicator.broadcast(moving, 0, { tag: 'moving-statistics' });
  const asBefore = optimiser.state.feedback.kept !== undefined && communicator.worldSize === start.residuals;
  const residuals = given?.own?.residual;
  const residual = residuals && !asBefore ? sumOf(residuals) : undefined;
  await optimiser.state.scatter(
    given && { ...given.state, ...(residual ? { residual } : {}) },
    start.updates,
  );
  if (asBefore) {
    const about = { count: start.residuals, length: weights.length, communicator };
    optimiser.state.feedback.adoptKept(await shareOwn(residuals, about));
  }
  const about = { count: start.moving, length: moving.length, communicator };
  const ownMoving = start.moving > 0 ? await shareOwn(given?.own?.moving, about) : moving;
  classifier.loadWeights();
  batchNorm.restore(ownMoving);
  if (loss.state) {
    loss.state.values = start.lossValues;
    loss.state.sums = sumsOf(
      start.lossSums.map((sums) => ({ sums: Float64Array.from(sums) })),
      { communicator, config },
    );
  }
  return start.state;
}

const whole = z.int().min(0);
const numbers = z.array(z.number());

/** Facts of rank 0's checkpoint that all ranks need, besides its arrays. */
const startSchema = z.object({
  state: trainingStateSchema,
  updates: whole,
  lossValues: numbers,
  /** Sums of the epoch that the loss keeps, of each rank. */
  lossSums: z.array(numbers),
  /** Ranks that have arrays of their own in the checkpoint: what rounding has kept back, and moving statistics. */
  residuals: whole,
  moving: whole,
});

function startOf(resume: Checkpoint | undefined, config: Config, loss: Loss): z.output<typeof startSchema> {
  const values = loss.state?.values ?? [];
  const { epochs = 0, updates = 0, within, epoch, own, lossState = [] } = resume ?? {};
  const { steps = 0, lossSum = 0, lossSums = [] } = within ?? {};
  const state: TrainingState = { epochs, steps, lossSum };
  const stopping = resume && stoppingOf(resume, config.stop);
  const isLast = epochs >= config.epochs || isStopped(stopping, config.stop);
  const isOpen = resume && !within && (resume.evaluation === undefined || isLast);
  const judged = isOpen ? resume.stopping : stopping;
  if (judged) state.stopping = judged;
  if (isOpen) state.unevaluated = epoch ?? { trainLoss: 0, seconds: 0 };
  return {
    state,
    updates,
    lossValues: [...(lossState.length === values.length ? lossState : values)],
    lossSums: lossSums.map((sums) => [...sums]),
    residuals: own?.residual?.length ?? 0,
    moving: own?.moving?.length ?? 0,
  };
}

/** This rank's array out of those that rank 0's checkpoint has of `count` ranks. */
async function shareOwn(
  arrays: readonly Float32Array[] | undefined,
  { count, length, communicator }: { count: number; length: number; communicator: Communicator },
): Promise<Float32Array> {
  let own = new Float32Array(length);
  for (let rank = 0; rank < count; rank++) {
    const values = arrays?.[rank]?.slice() ?? new Float32Array(length);
    await communicator.broadcast(values, 0, { tag: `own/${rank}` });
    if (rank === communicator.rank % count) own = values;
  }
  return own;
}

function sumOf(arrays: readonly Float32Array[]): Float32Array {
  const [first, ...others] = arrays;
  return others.reduce(
    (sum, array) => sum.map((value, index) => value + (array[index] ?? 0)),
    present(first, 'a residual').slice(),
  );
}
