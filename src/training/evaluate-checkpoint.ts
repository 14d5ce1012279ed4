import type { Communicator } from '../collective/communicator.js';
import type { Config } from '../config/schema.js';
import type { Dataset } from '../data/dataset.js';
import { listed } from '../data/image-index.js';
import { openUnknown } from '../data/index.js';
import { UserError } from '../errors.js';
import type { Checkpoint } from './checkpoint.js';
import { evaluateInDetail } from './evaluate.js';
import type { Reporter } from './reporter.js';
import { restoreClassifier } from './restore.js';

export interface EvaluateCheckpointOptions {
  checkpoint: Checkpoint;
  /** How to evaluate it: the checkpoint's own, perhaps with other data. */
  config: Config;
  dataset: Dataset;
  communicator: Communicator;
  reporter: Reporter;
}

/**
 * Evaluates a checkpoint's model on the whole test split; every rank of the job calls it. The coordinator's combiner
 * holds the result.
 */
export async function evaluateCheckpoint(options: EvaluateCheckpointOptions): Promise<void> {
  const { checkpoint, config, dataset, communicator, reporter } = options;
  const { classNames, shape } = checkpoint;
  if (classNames.join('\n') !== dataset.classNames.join('\n') || shape.join() !== dataset.shape.join()) {
    throw new UserError(
      'CHECKPOINT_MISMATCH',
      `the checkpoint knows ${classNames.length} classes of ${shape.join('x')} images, the data set ${dataset.name} has ` +
        `${dataset.classNames.length} of ${dataset.shape.join('x')}${difference(classNames, dataset.classNames)}: give the data set it was trained on`,
    );
  }
  const unknown = await openUnknown(config, dataset);
  const classifier = await restoreClassifier(checkpoint, communicator);
  await reporter.agree('weights', classifier.weightsSha256());
  if (unknown) await reporter.agree('unknown images', await unknown.fingerprint());
  try {
    const { epochs } = checkpoint;
    const job = { classifier, dataset, unknown, communicator, reporter, settings: config.evaluation };
    const part = await evaluateInDetail({ ...job, epoch: epochs - 1, trained: epochs });
    await reporter.gather('evaluation', part);
  } finally {
    await unknown?.close();
  }
}

/** Names the classes that only one of the two has. */
function difference(known: readonly string[], found: readonly string[]): string {
  const [own, given] = [new Set(known), new Set(found)];
  const only = (names: readonly string[], others: ReadonlySet<string>) =>
    listed(names.filter((name) => !others.has(name)));
  const missing = only(known, given);
  const strange = only(found, own);
  return `${missing && `, without ${missing}`}${strange && `, with ${strange}`}`;
}
