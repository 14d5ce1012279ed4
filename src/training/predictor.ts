import * as tf from '@tensorflow/tfjs';
import { LocalCommunicator } from '../collective/local-communicator.js';
import { topClasses, type TopClasses } from '../evaluation/top-classes.js';
import type { Checkpoint } from './checkpoint.js';
import { classVectors } from './class-vectors.js';
import type { Classifier } from './classifier.js';
import { restoreClassifier } from './restore.js';

/** What a classifier's scores are: softmax is trained on probabilities, every other loss on cosines. */
export type ScoreKind = 'cosine' | 'probability';

/** A trained classifier that says which classes images belong to, as evaluation would. */
export class Predictor {
  readonly scoreKind: ScoreKind;
  private readonly vectors: ReturnType<typeof classVectors>;

  /** Restores a checkpoint's classifier on the backend that has been started. */
  static async create(checkpoint: Checkpoint): Promise<Predictor> {
    const classifier = await restoreClassifier(checkpoint, new LocalCommunicator());
    await classifier.batchNorm.publish();
    return new Predictor(classifier);
  }

  private constructor(private readonly classifier: Classifier) {
    this.scoreKind = classifier.classWeights?.bias ? 'probability' : 'cosine';
    this.vectors = classVectors(classifier.centroids, classifier.classWeights);
  }

  /** The best `count` classes of each of some images, row-major [images, height, width, channels], normalised. */
  predict(images: Float32Array, count: number): TopClasses[] {
    const [height, width, channels] = this.classifier.shape;
    const batch = images.length / (height * width * channels);
    if (batch === 0) return [];
    const features = tf.tidy(() =>
      this.classifier.forward.run(tf.tensor4d(images, [batch, height, width, channels])),
    );
    try {
      return topClasses(this.vectors, features, count);
    } finally {
      features.dispose();
    }
  }

  dispose(): void {
    this.vectors.dispose();
  }
}
