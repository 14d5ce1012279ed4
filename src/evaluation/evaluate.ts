import * as tf from '../tf/index.js';
import type { Communicator } from '../collective/communicator.js';
import type { Config } from '../config/schema.js';
import type { Batch, Dataset } from '../data/dataset.js';
import { evaluationPasses } from '../data/sampler.js';
import { compare, scoreKindOf, type Comparison, type OnWrong } from './comparison.js';
import { FeatureCorrelation } from './correlation.js';
import { joinComparisons, packArrays, packComparison } from './observations.js';
import { surest, type Mistake } from './mistakes.js';
import { ClassPlane } from './plane.js';
import { SamplePacker, sampleStride } from './sample.js';
import type { EvaluationPart } from './summary.js';
import { count, emptyTotals, type EvaluationTotals } from './totals.js';
import { localTerms } from '../losses/index.js';
import { noTracer, type Tracer } from '../trace/tracer.js';
import { classVectors } from '../classifier/class-vectors.js';
import type { Classifier } from '../classifier/classifier.js';
import { loaderSpans } from '../trace/step-spans.js';
import { untilStopped } from '../util/until-stopped.js';

/** Test images that a rank has just measured, of a full evaluation. */
export interface EvaluatedNews {
  kind: 'evaluated';
  images: number;
}

/** Receives the progress of a rank's evaluation. */
export interface EvaluationProgress {
  record(news: EvaluatedNews): void;
  /** Like `progress`, before work that may take long without progress: it has its own time-out. */
  lengthy(phase: string, epoch?: number): void;
  /** Reports that this worker makes progress; the job is stopped if it is not called within the stall time-out. */
  progress(phase: string, epoch?: number, step?: number): void;
}

export interface EvaluationOptions {
  classifier: Classifier;
  dataset: Dataset;
  communicator: Communicator;
  reporter: EvaluationProgress;
  settings: Pick<Config['evaluation'], 'batchSize' | 'mirror'>;
  epoch: number;
  tracer?: Tracer;
  /** Stops a job of one rank between two passes. */
  signal?: AbortSignal;
}

type Vectors = ReturnType<typeof classVectors>;

/** Counts this rank's share of the test images; the shares of all ranks hold every image exactly once. */
export async function evaluate(options: EvaluationOptions): Promise<EvaluationTotals> {
  const totals = emptyTotals(options.classifier.classes);
  await withVectors(options, (vectors) =>
    forEachPass(options, options.dataset, vectors, (comparison) => count(totals, comparison)),
  );
  return totals;
}

/**
 * Measures this rank's share of the test images, and of images of `unknown` classes, in full; the coordinator makes one
 * evaluation of all ranks' parts. The ranks meet once, to sum the correlation of all images' features. `trained` is the
 * number of epochs behind the weights, `keepFeatures` whether the features of some images are part of the result.
 */
export async function evaluateInDetail(
  options: EvaluationOptions & { unknown?: Dataset; trained: number; keepFeatures?: boolean },
): Promise<EvaluationPart> {
  const { classifier, dataset, communicator, unknown, keepFeatures = false } = options;
  const { classes, dim } = classifier;
  const totals = emptyTotals(classes);
  const comparisons: Comparison[] = [];
  const correlation = dim <= FeatureCorrelation.mostDimensions ? new FeatureCorrelation(dim) : undefined;
  return withVectors(options, async (vectors) => {
    const plane = new ClassPlane(ownRows(vectors, ClassPlane.classesOf(classes)), dim);
    const sample = ClassPlane.sample(dataset.labels.test, classes);
    const kept = new Set([...sample].filter((_, place) => place % sampleStride(sample.size, dim) === 0));
    const packer = new SamplePacker();
    let mistakes: Mistake[] = [];
    const drawn = { x: [] as number[], y: [] as number[], labels: [] as number[], assigned: [] as number[] };
    const onWrong = (mistake: Mistake) => void mistakes.push(mistake);
    const measure = (comparison: Comparison, features: tf.Tensor2D, images: Int32Array) => {
      mistakes = surest(mistakes);
      count(totals, comparison);
      comparisons.push(comparison);
      options.reporter.record({ kind: 'evaluated', images: images.length });
      correlation?.add(localTerms(features, vectors.own(comparison.labels), 0).residuals);
      const values = features.dataSync<'float32'>();
      images.forEach((image, row) => {
        if (!sample.has(image) || comparison.assigned[row] === classes) return;
        const own = values.subarray(row * dim, (row + 1) * dim);
        if (keepFeatures && kept.has(image))
          packer.add(image, comparison.labels[row], comparison.assigned[row], own);
        const [x, y] = plane.project(own, comparison.norm[row]);
        drawn.x.push(x);
        drawn.y.push(y);
        drawn.labels.push(comparison.labels[row]);
        drawn.assigned.push(comparison.assigned[row]);
      });
    };
    await forEachPass(options, dataset, vectors, measure, onWrong);
    if (correlation) await communicator.allReduce(correlation.sums, { tag: 'correlation' });
    const strangers: Comparison[] = [];
    if (unknown) await forEachPass(options, unknown, vectors, (comparison) => strangers.push(comparison));
    options.reporter.lengthy('sum up the evaluation', options.epoch);
    return {
      totals,
      images: packComparison(joinComparisons(comparisons)),
      drawn: packArrays([
        Float32Array.from(drawn.x),
        Float32Array.from(drawn.y),
        Int32Array.from(drawn.labels),
        Int32Array.from(drawn.assigned),
      ]),
      unknown: unknown && packStrangers(strangers),
      mistakes,
      ...(keepFeatures ? { sample: packer.bytes } : {}),
      shared: {
        dataset: dataset.name,
        classNames: dataset.classNames,
        dim,
        epochs: options.trained,
        correlation: correlation?.measure(dataset.labels.test.length) ?? null,
        vectors: plane.vectors,
        mirrored: options.settings.mirror,
        scale: scoreKindOf(classifier.classWeights),
        unknownFolder: unknown?.name,
      },
    };
  });
}

function packStrangers(strangers: readonly Comparison[]): Uint8Array {
  const { chosen, next, norm } = joinComparisons(strangers);
  return packArrays([chosen, next, norm.map((length) => (Number.isFinite(length) ? length : 0))]);
}

async function withVectors<T>(
  { classifier, epoch, tracer = noTracer }: EvaluationOptions,
  use: (vectors: Vectors) => Promise<T>,
): Promise<T> {
  const began = tracer.now();
  await classifier.batchNorm.publish();
  const vectors = classVectors(classifier.centroids, classifier.classWeights);
  try {
    return await use(vectors);
  } finally {
    vectors.dispose();
    tracer.span('compute', 'evaluation', began, { epoch });
  }
}

/** Compares this rank's share of the test split of `dataset` with all classes, pass by pass. */
async function forEachPass(
  options: EvaluationOptions,
  dataset: Dataset,
  vectors: Vectors,
  use: (comparison: Comparison, features: tf.Tensor2D, images: Int32Array) => void,
  onWrong?: (mistake: Mistake) => void,
): Promise<void> {
  await forEachFeatures(options, dataset, (features, { labels }, images) => {
    const tell: OnWrong | undefined =
      onWrong && ((row, nearest) => onWrong({ image: images[row], label: labels[row], nearest }));
    use(compare(features, labels, vectors, tell), features, images);
  });
}

/** Computes the features of this rank's share of the test split of `dataset`, pass by pass; they live during the call. */
export async function forEachFeatures(
  { classifier, communicator, reporter, settings, epoch, tracer = noTracer, signal }: EvaluationOptions,
  dataset: Dataset,
  use: (features: tf.Tensor2D, batch: Batch, images: Int32Array) => void,
): Promise<void> {
  const { rank, worldSize } = communicator;
  const batches = evaluationPasses(dataset.labels.test.length, rank, worldSize, settings.batchSize);
  let pass = 0;
  const loaded = loaderSpans(dataset.read({ split: 'test', batches, epoch }), tracer);
  for await (const batch of untilStopped(loaded, signal)) {
    const images = batches[pass];
    tf.tidy(() => use(classifier.evaluate(batch, settings.mirror), batch, images));
    reporter.progress('evaluate', epoch, pass++);
  }
}

/** The vectors of the first classes, [classes, d] row-major. */
function ownRows(vectors: Vectors, classes: number): Float32Array {
  return tf.tidy(() =>
    vectors
      .own(Int32Array.from({ length: classes }, (_, label) => label))
      .dataSync<'float32'>()
      .slice(),
  );
}
