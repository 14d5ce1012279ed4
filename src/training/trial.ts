import { z } from 'zod';
import { Classifier } from '../classifier/classifier.js';
import { imagesOfClasses } from '../data/sampler.js';
import type { Reporter } from '../record/reporter.js';
import { openInitial } from './initial.js';
import { bytesOfImage, checkMemory } from './memory.js';
import { SmoothedLoss } from './rate-range.js';
import { shareState } from './share-state.js';
import { TrainingStep } from './step.js';
import type { TrainOptions } from './train-options.js';
import { trainSteps } from './train-steps.js';

/** Steps whose result is thrown away. */
export const trialSchema = z.strictObject({
  /** Learning rate of each step. */
  rates: z.array(z.number().positive()).min(1).max(100_000),
  /** Whether they end where the loss diverges. */
  untilDiverged: z.boolean().default(false),
});

export type Trial = z.output<typeof trialSchema>;

/** What a rank says of itself with each step of a trial. */
export interface TrialFacts {
  parameters: number;
  /** Arrays of the optimiser's state, of one number a weight each. */
  stateArrays: number;
  /** Moving statistics, and their averages. */
  movingNumbers: number;
  /** Bytes that the backward pass keeps of one image, at least. */
  imageBytes: number;
  /** Most memory that the process has had, in bytes. */
  peakBytes: number;
}

/**
 * Makes steps of a training on its images, epoch after epoch, and throws their result away: every rank of a job calls it.
 * Rank 0 records each step, with facts about itself. Nothing is written, and no test image is read.
 */
export async function trySteps(
  options: Pick<TrainOptions, 'config' | 'dataset' | 'communicator' | 'reporter' | 'backend' | 'signal'>,
  { rates, untilDiverged }: Trial,
): Promise<void> {
  const { config, dataset, communicator, reporter, backend } = options;
  const { classNames, shape, labels } = dataset;
  const onNotice = (message: string) => reporter.record({ kind: 'notice', message });
  const initial = communicator.rank === 0 ? await openInitial(config, onNotice) : undefined;
  reporter.lengthy('build the model');
  const classes = classNames.length;
  const classifier = await Classifier.create({ config, shape, classes, communicator, onNotice });
  let step: TrainingStep | undefined;
  try {
    checkMemory({ classifier, config, dataset, communicator, backend });
    await reporter.agree('data set', await dataset.fingerprint());
    await reporter.agree('centroids', classifier.centroidsSha256);
    const images = imagesOfClasses(labels.train, classes);
    step = await TrainingStep.create(classifier, communicator, config, {
      gpu: backend.gpu,
      images,
      onNotice,
    });
    const { loss, optimiser } = step;
    const trained = { classifier, loss, optimiser, communicator, config };
    const state = await shareState({ ...trained, initial, onNotice });
    const smoothed = new SmoothedLoss();
    let made = 0;
    const isOver = () => made === rates.length || (untilDiverged && smoothed.hasDiverged);
    const trial = {
      rateOf: (index: number) => rates[index],
      ended: (loss: number) => {
        made++;
        smoothed.add(loss);
        return isOver();
      },
    };
    const facts = {
      parameters: classifier.parameters.length,
      stateArrays: optimiser.state.names.length,
      movingNumbers: classifier.batchNorm.flatten().length,
      imageBytes: bytesOfImage(classifier.forward.model),
    };
    const about = { ...options, reporter: withFacts(reporter, facts), outDir: '', trial };
    const lookout = { afterStep: async () => {} };
    while (!isOver()) {
      await trainSteps(about, { step, state, trained, lookout });
      if (isOver()) break;
      await loss.state?.afterEpoch(state.epochs, labels.train.length);
      await optimiser.settle();
      Object.assign(state, { epochs: state.epochs + 1, steps: 0, lossSum: 0 });
    }
  } finally {
    step?.dispose();
    classifier.dispose();
  }
}

/** A reporter whose steps tell facts besides. */
function withFacts(reporter: Reporter, facts: Omit<TrialFacts, 'peakBytes'>): Reporter {
  return {
    agree: (name, value) => reporter.agree(name, value),
    gather: (name, part, given) => reporter.gather(name, part, given),
    lengthy: (phase, epoch) => reporter.lengthy(phase, epoch),
    progress: (phase, epoch, step) => reporter.progress(phase, epoch, step),
    record: (news) => {
      if (news.kind !== 'step') return reporter.record(news as never);
      const peakBytes = process.resourceUsage().maxRSS * 1024;
      reporter.record({ ...news, ...facts, peakBytes } as never);
    },
  };
}
