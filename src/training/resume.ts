import type { Communicator } from '../collective/communicator.js';
import { differingRules, type Config } from '../config/schema.js';
import { UserError } from '../errors.js';
import type { Loss } from '../losses/index.js';
import { findCheckpoint, listCheckpoints, type Checkpoint } from './checkpoint.js';
import type { Classifier } from './classifier.js';
import { layoutOf } from './restore.js';
import type { ShardedOptimiser } from './sharded-optimiser.js';

/**
 * The newest whole checkpoint of a run folder; undefined where there is none at all, unless there must be one. Where
 * there are some, of which none is whole, nothing is started over them.
 *
 * @throws UserError `CHECKPOINT_NOT_FOUND`
 */
export async function checkpointToResume(
  folder: string,
  wanted: 'start' | 'must' | undefined,
  notify: (line: string) => void,
): Promise<Checkpoint | undefined> {
  if (wanted === 'start' && (await listCheckpoints(folder)).length === 0) return undefined;
  return (await findCheckpoint(folder, notify)).checkpoint;
}

/** What changes from epoch to epoch besides the weights. */
export interface TrainingState {
  /** Epochs trained so far. */
  epochs: number;
}

interface ShareOptions {
  classifier: Classifier;
  loss: Loss;
  optimiser: ShardedOptimiser;
  communicator: Communicator;
  config: Config;
  /** Rank 0's checkpoint; without one the run starts afresh. */
  resume?: Checkpoint;
}

/**
 * Starts every rank from rank 0's state: initial weights, or a checkpoint's weights, optimiser state (and
 * what compression has kept back), moving statistics, epoch and the state of the loss. Only rank 0 needs to see the checkpoint's files.
 */
export async function shareState({
  classifier,
  loss,
  optimiser,
  communicator,
  config,
  resume,
}: ShareOptions): Promise<TrainingState> {
  const { weights, batchNorm } = classifier;
  const moving = batchNorm.flatten();
  const header = Float64Array.of(0, 0, ...(loss.state?.values ?? []));
  if (communicator.rank === 0 && resume) {
    checkResumable(resume, config);
    checkCompatible(resume, classifier);
    weights.set(resume.weights);
    moving.set(resume.moving);
    header.set([
      resume.epochs,
      resume.updates,
      ...(resume.lossState.length === header.length - 2 ? resume.lossState : []),
    ]);
  }
  await communicator.broadcast(header, 0, { tag: 'state' });
  await communicator.broadcast(weights, 0, { tag: 'weights' });
  await optimiser.scatterState(communicator.rank === 0 ? resume?.state : undefined, header[1]);
  await communicator.broadcast(moving, 0, { tag: 'moving-statistics' });
  classifier.loadWeights();
  batchNorm.restore(moving);
  if (loss.state) loss.state.values = [...header.subarray(2)];
  return { epochs: header[0] };
}

/** Refuses a checkpoint that this configuration cannot go on from. */
export function checkResumable(checkpoint: Checkpoint, config: Config): void {
  const model = JSON.stringify(checkpoint.config.model);
  if (model !== JSON.stringify(config.model)) {
    throw new UserError(
      'CHECKPOINT_MISMATCH',
      `the checkpoint holds another model (${model}) than the configuration: give the run's own config.yaml`,
    );
  }
  const [differing] = differingRules(checkpoint.config.data, config.data);
  if (differing !== undefined) {
    const value = checkpoint.config.data[differing];
    throw new UserError(
      'CHECKPOINT_MISMATCH',
      `the checkpoint was trained with data.${differing} ${value}, the configuration says ${config.data[differing]}: set data.${differing} to "${value}"`,
    );
  }
  const { name } = checkpoint.config.optimizer;
  if (name !== config.optimizer.name) {
    throw new UserError(
      'CHECKPOINT_MISMATCH',
      `the checkpoint was trained by ${name}, the configuration says optimizer.name ${config.optimizer.name}`,
    );
  }
  if (checkpoint.seed !== config.seed) {
    throw new UserError(
      'CHECKPOINT_MISMATCH',
      `the checkpoint was trained with seed ${checkpoint.seed}, the configuration says ${config.seed}`,
    );
  }
  const [own, given] = [checkpoint.config, config].map(({ centroids, seed }) => centroids.seed ?? seed);
  if (own !== given) {
    throw new UserError(
      'CHECKPOINT_MISMATCH',
      `the checkpoint was trained towards the centroids of seed ${own}, the configuration says centroids.seed ${given}`,
    );
  }
  if (checkpoint.epochs >= config.epochs) {
    throw new UserError(
      'RUN_COMPLETE',
      `the run has already trained ${checkpoint.epochs} of ${config.epochs} epochs: give more --epochs to train on`,
    );
  }
}

function checkCompatible(checkpoint: Checkpoint, classifier: Classifier): void {
  if (layoutOf(checkpoint.slots) === layoutOf(classifier.parameters.slots)) return;
  throw new UserError(
    'CHECKPOINT_MISMATCH',
    "the checkpoint's weights do not fit the model: give the data set that it was trained on",
  );
}
