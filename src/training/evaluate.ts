import * as tf from '@tensorflow/tfjs';
import type { Communicator } from '../collective/communicator.js';
import type { Dataset } from '../data/dataset.js';
import { evaluationSlice } from '../data/sampler.js';
import { CosineAccuracy } from '../evaluation/cosine-accuracy.js';
import type { EvaluationTotals } from '../evaluation/totals.js';
import { noTracer, type Tracer } from '../trace/tracer.js';
import { classVectors } from './class-vectors.js';
import type { Classifier } from './classifier.js';
import type { Reporter } from './reporter.js';
import { loaderSpans } from './trace-spans.js';

interface EvaluateOptions {
  classifier: Classifier;
  dataset: Dataset;
  communicator: Communicator;
  reporter: Reporter;
  /** Images a pass. */
  batchSize: number;
  epoch: number;
  tracer?: Tracer;
}

/** Counts this rank's share of the test images; the shares of all ranks hold every image exactly once. */
export async function evaluate(options: EvaluateOptions): Promise<EvaluationTotals> {
  const { classifier, dataset, communicator, reporter, batchSize, epoch, tracer = noTracer } = options;
  const began = tracer.now();
  await classifier.batchNorm.publish();
  const vectors = classVectors(classifier.centroids, classifier.classWeights);
  const accuracy = new CosineAccuracy(vectors);
  const batches = evaluationSlice(
    dataset.labels.test.length,
    communicator.rank,
    communicator.worldSize,
    batchSize,
  );
  let pass = 0;
  for await (const batch of loaderSpans(dataset.read({ split: 'test', batches, epoch }), tracer)) {
    if (batch.count === 0) continue;
    tf.tidy(() => {
      const images = tf.tensor4d(batch.images, classifier.imageShape(batch));
      accuracy.add(classifier.forward.run(images), batch.labels);
    });
    reporter.progress('evaluate', epoch, pass++);
  }
  vectors.dispose();
  tracer.span('compute', 'evaluation', began, { epoch });
  return accuracy.totals;
}
