import { shardRange } from '../collective/communicator.js';
import { balancedBatches, globalBatches, rankSlice, stepsPerEpoch } from '../data/sampler.js';
import { readTraining } from '../data/training-batches.js';
import { noTracer } from '../trace/tracer.js';
import { EpochTimes } from './epoch-times.js';
import { MeanLoss } from './mean-loss.js';
import type { RankTimes } from '../record/records.js';
import type { Lookout } from './lookout.js';
import type { Trained } from './snapshot.js';
import type { TrainingState } from './state.js';
import { learningRate } from '../optim/schedule.js';
import type { TrainingStep } from './step.js';
import { loaderSpans, phaseSpans } from '../trace/step-spans.js';
import type { TrainOptions } from './train-options.js';
import { untilStopped } from '../util/until-stopped.js';
import { present } from '../util/present.js';

/** Everything that steps change. */
export interface Steps {
  step: TrainingStep;
  state: TrainingState;
  /** What a snapshot is taken of. */
  trained: Trained;
  /** Decides on checkpoints and an early end. */
  lookout: Pick<Lookout, 'afterStep'>;
}

/**
 * Makes the steps that are left of the epoch that `state` has come to: this rank's slice of every global batch,
 * micro-batch by micro-batch. Rank 0 records each step. Returns where the time of the epoch went.
 */
export async function trainSteps(
  options: TrainOptions,
  { step, state, trained, lookout }: Steps,
): Promise<RankTimes> {
  const { epochs: epoch } = state;
  const { config, dataset, communicator, reporter, trial, tracer = noTracer } = options;
  const { rank, worldSize } = communicator;
  const { train: labels } = dataset.labels;
  const images = labels.length;
  const about = { ...config, epoch };
  const global =
    config.sampling === 'classes'
      ? balancedBatches(labels, about)
      : globalBatches(images, config.batchSize, config.seed, epoch);
  const plan = microBatches(global, config.accumulate);
  const slices = global.map((batch) => rankSlice(batch, rank, worldSize));
  let index = state.steps * config.accumulate;
  const { augment } = config.data;
  const read = { global, first: index, rank, worldSize, epoch, seed: config.seed, augment };
  const loaded = loaderSpans(readTraining(dataset, read), tracer);
  const steps = stepsPerEpoch(images, config);
  const done = slices.slice(0, index).reduce((sum, { length }) => sum + length, 0);
  const times = new EpochTimes(communicator, done);
  let stepClock = new EpochTimes(communicator);
  let mean = new MeanLoss();
  const contributions = options.recovery?.contributions;
  for await (const batch of times.loading(untilStopped(loaded, options.signal))) {
    const began = tracer.now();
    const { size, micro, stepOfEpoch } = present(plan[index], 'a micro-batch');
    const globalStep = epoch * steps + stepOfEpoch;
    const scheduled = {
      epoch,
      step: globalStep,
      totalSteps: config.epochs * steps,
      stepsPerEpoch: steps,
      workers: config.workers,
    };
    const rate = trial?.rateOf(globalStep) ?? learningRate(config.learningRate, scheduled);
    const counts = shardCounts(size, worldSize);
    const drawing = { epoch, images: present(slices[index], 'a batch') };
    const run = () => step.run({ batch, counts, rate, micro, drawing, onPhase: phaseSpans(tracer) });
    const key = (epoch * steps + stepOfEpoch) * config.accumulate + micro.index;
    const values = await (contributions ? contributions.during(communicator, key, run) : run());
    tracer.span('compute', 'step', began, { epoch, step: globalStep });
    state.lossSum += values.loss * size;
    mean.add(values, size, micro.count);
    reporter.progress('train', epoch, index);
    index++;
    if (micro.index < micro.count - 1) continue;

    const { seconds, exposedSeconds } = stepClock.end();
    stepClock = new EpochTimes(communicator);
    if (rank === 0) {
      reporter.record({
        kind: 'step',
        epoch,
        step: globalStep,
        loss: mean.loss,
        ...mean.parts,
        ...step.loss.state?.shown,
        lr: rate,
        samplesPerSecond: mean.images / seconds,
        ...(worldSize > 1 ? { exposedMs: exposedSeconds * 1000 } : {}),
      });
    }
    const { loss } = mean;
    mean = new MeanLoss();
    state.steps++;
    if (trial?.ended(loss)) break;
    // The end of the epoch has a snapshot of its own, and a check.
    if (state.steps === steps) continue;
    await options.recovery?.snapshots.afterStep(trained, state);
    await lookout.afterStep(state);
  }
  await step.complete();
  return times.end();
}

interface MicroBatch {
  /** Images of all ranks. */
  size: number;
  stepOfEpoch: number;
  micro: { index: number; count: number };
}

/** The place of each global batch in the steps of its epoch, `accumulate` to a step; the last step may have fewer. */
function microBatches(batches: readonly ArrayLike<number>[], accumulate: number): MicroBatch[] {
  return batches.map(({ length: size }, index) => {
    const stepOfEpoch = Math.floor(index / accumulate);
    const first = stepOfEpoch * accumulate;
    const count = Math.min(accumulate, batches.length - first);
    return { size, stepOfEpoch, micro: { index: index - first, count } };
  });
}

function shardCounts(size: number, worldSize: number): number[] {
  return Array.from({ length: worldSize }, (_, rank) => {
    const [start, end] = shardRange(size, rank, worldSize);
    return end - start;
  });
}
