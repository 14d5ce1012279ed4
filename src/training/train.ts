import type { Dataset } from '../data/dataset.js';
import { imagesOfClasses, stepsPerEpoch } from '../data/sampler.js';
import { openUnknown } from '../data/index.js';
import { digestOf, modulesToTrainWith, type Modules } from '../checkpoint/modules.js';
import { Classifier } from '../classifier/classifier.js';
import type { FinishPart } from '../record/reported.js';
import { isStopped } from './early-stop.js';
import { addTimes } from './epoch-times.js';
import { shareCentroids } from './centroid-layout.js';
import { evaluateEpoch, trainEpoch } from './epoch.js';
import { collectGarbageRarely } from '../util/garbage.js';
import { openInitial, type InitialWeights } from './initial.js';
import { Inspection } from './inspect-images.js';
import { Lookout } from './lookout.js';
import { checkMemory } from './memory.js';
import type { RankTimes } from '../record/records.js';
import { checkSameData } from './resume.js';
import { shareState } from './share-state.js';
import { Saver } from './saver.js';
import type { Report } from '../record/records.js';
import { TrainingStep } from './step.js';
import type { TrainOptions } from './train-options.js';

/**
 * Trains a classifier; every rank of the job calls it with the same configuration.
 *
 * Resolves with the run's report once every rank has finished with equal weights.
 */
export async function train(options: TrainOptions): Promise<Report> {
  collectGarbageRarely();
  const { reuse } = options;
  const unknown = reuse?.unknown ?? (await openUnknown(options.config, options.dataset));
  if (reuse) reuse.unknown = unknown;
  const datasets = [options.dataset, ...(unknown ? [unknown] : [])];
  const inspection = new Inspection({ ...options, datasets, inspected: reuse?.inspected });
  try {
    return await trainEpochs(options, unknown, inspection);
  } finally {
    await inspection.stop();
    if (!reuse) await unknown?.close();
  }
}

async function trainEpochs(
  options: TrainOptions,
  unknown: Dataset | undefined,
  inspection: Inspection,
): Promise<Report> {
  const { config, dataset, communicator, reporter, resume } = options;
  const started = performance.now();
  if (resume) checkSameData(resume, dataset);
  const modules = modulesToTrainWith(config);
  const onNotice = (message: string) => reporter.record({ kind: 'notice', message });
  const isFirst = communicator.rank === 0 && !resume;
  const initial = isFirst ? await openInitial(config, onNotice) : undefined;
  reporter.lengthy('build the model');
  const classifier = await Classifier.create({
    config,
    shape: dataset.shape,
    classes: dataset.classNames.length,
    communicator,
    centroids: await shareCentroids({ config, dataset, communicator, resume, initial, onNotice }),
    onNotice,
  });
  try {
    const untrained = { classifier, initial, unknown, inspection, modules, started };
    return await trainClassifier(options, untrained);
  } finally {
    classifier.dispose();
  }
}

interface Untrained {
  classifier: Classifier;
  initial: InitialWeights | undefined;
  unknown: Dataset | undefined;
  inspection: Inspection;
  modules: Modules;
  /** When the training began, as `performance.now()` says. */
  started: number;
}

async function trainClassifier(
  options: TrainOptions,
  { classifier, initial, unknown, inspection, modules, started }: Untrained,
): Promise<Report> {
  const { config, dataset, communicator, reporter, backend, resume, recovery } = options;
  const onNotice = (message: string) => reporter.record({ kind: 'notice', message });
  checkMemory({ classifier, config, dataset, communicator, backend });
  await reporter.agree('data set', await dataset.fingerprint());
  if (unknown) await reporter.agree('unknown images', await unknown.fingerprint());
  await reporter.agree('centroids', classifier.centroidsSha256);
  if (modules.plugins) await reporter.agree('plug-ins', digestOf(modules.plugins));
  const step = await TrainingStep.create(classifier, communicator, config, {
    gpu: backend.gpu,
    tracer: options.tracer,
    images: imagesOfClasses(dataset.labels.train, dataset.classNames.length),
    onNotice,
  });
  const { loss, optimiser } = step;
  const { classNames } = dataset;
  const trained = { classifier, loss, optimiser, communicator, config };
  const steps = stepsPerEpoch(dataset.labels.train.length, config);
  const { generation = 0, start } = recovery ?? {};
  const restored = await recovery?.snapshots.begin(trained, { generation, stepsPerEpoch: steps, start });
  const state = restored ?? (await shareState({ ...trained, resume, initial, classNames, onNotice }));
  // A checkpoint is of before its evaluation, for which ranks take the mean of their moving statistics.
  const isEvaluated = state.epochs > 0 && state.steps === 0 && !state.unevaluated;
  if (!restored && isEvaluated) await classifier.batchNorm.publish();
  await recovery?.snapshots.take(trained, state);

  const about = { ...options, modules, stepsPerEpoch: steps };
  const saver = await Saver.create(about, trained);
  let average: Float32Array | undefined;
  let times: RankTimes = { images: 0, seconds: 0, loaderSeconds: 0, exposedSeconds: 0 };
  try {
    reporter.progress('begin to train', state.epochs);
    const lookout = new Lookout(about, trained, saver);
    const training = { classifier, step, state, trained, unknown, inspection, lookout, saver };
    await inspection.start();
    if (state.unevaluated) await evaluateEpoch(options, training);
    for (
      let epoch = state.epochs;
      epoch < config.epochs && !isStopped(state.stopping, config.stop);
      epoch++
    ) {
      times = addTimes(times, await trainEpoch(options, training));
    }
    await saver.settled();
    average = await optimiser.state.gatherAverage();
  } finally {
    step.dispose();
    await saver.close();
  }

  await reporter.agree('weights', classifier.weightsSha256());
  const averageSha256 = average && classifier.averageSha256(average);
  if (averageSha256 !== undefined) await reporter.agree('averaged weights', averageSha256);
  const part: FinishPart = {
    backend: backend.name,
    device: backend.device,
    parameters: classifier.parameters.length,
    epochs: state.epochs,
    times,
    centroidsSha256: classifier.centroidsSha256,
    weightsSha256: classifier.weightsSha256(),
    ...(averageSha256 === undefined ? {} : { averageSha256 }),
    seconds: (performance.now() - started) / 1000,
  };
  return await reporter.gather('finish', part);
}
