import * as tf from '../tf/index.js';
import { LocalCommunicator } from '../collective/local-communicator.js';
import { scoreKindOf, type ScoreKind } from '../evaluation/comparison.js';
import { topClasses, type TopClasses } from '../evaluation/top-classes.js';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { classVectors } from '../classifier/class-vectors.js';
import type { Classifier } from '../classifier/classifier.js';
import { restoreClassifier } from '../checkpoint/restore.js';
import type { WeightsChoice } from '../optim/average.js';

export type { ScoreKind };

interface PredictorOptions {
  mirror?: boolean;
  weights?: WeightsChoice;
  onNotice?(line: string): void;
}

/** A trained classifier that says which classes images belong to, as evaluation would. */
export class Predictor {
  readonly scoreKind: ScoreKind;
  private readonly vectors: ReturnType<typeof classVectors>;

  /**
   * Restores a checkpoint's classifier on the backend that has been started. `mirror` as evaluation had it, and `weights`;
   * default: as the checkpoint's recipe says. `onNotice` hears where it computes in another precision than it was trained
   * in.
   */
  static async create(
    checkpoint: Checkpoint,
    { mirror = checkpoint.config.evaluation.mirror, weights, onNotice }: PredictorOptions = {},
  ): Promise<Predictor> {
    const classifier = await restoreClassifier(checkpoint, new LocalCommunicator(), { weights, onNotice });
    await classifier.batchNorm.publish();
    return new Predictor(classifier, mirror);
  }

  private constructor(
    private readonly classifier: Classifier,
    private readonly mirror: boolean,
  ) {
    this.scoreKind = scoreKindOf(classifier.classWeights);
    this.vectors = classVectors(classifier.centroids, classifier.classWeights);
  }

  /** The `best` best classes of each image; images are row-major [images, height, width, channels], normalised. */
  predict(images: Float32Array, best: number): TopClasses[] {
    if (images.length === 0) return [];
    const count = images.length / tf.util.sizeFromShape([...this.classifier.shape]);
    const batch = { images, labels: new Int32Array(), count };
    const features = tf.tidy(() => this.classifier.evaluate(batch, this.mirror));
    try {
      return topClasses(this.vectors, features, best);
    } finally {
      features.dispose();
    }
  }

  dispose(): void {
    this.vectors.dispose();
    this.classifier.dispose();
  }
}
