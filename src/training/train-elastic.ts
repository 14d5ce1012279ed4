import type { Communicator } from '../collective/communicator.js';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import type { Report } from '../record/records.js';
import type { Held, Start } from './recovery-point.js';
import { checkpointToResume } from './resume.js';
import { Snapshots } from './snapshots.js';
import { train } from './train.js';
import type { TrainOptions } from './train-options.js';

/** A worker's places in the configurations of its job, one after another. */
export interface Places {
  /** Resolves with its first place, once all ranks are connected. */
  takePlace(): Promise<{ generation: number; rank: number; start?: Start }>;
  /** Leaves a configuration for the next one; resolves with the place there. */
  begin(cause: unknown, held: readonly Held[]): ReturnType<Places['takePlace']>;
  /** Whether a failure is one from which the other ranks go on with this one. */
  isRecoverable(error: unknown): boolean;
  /** Collectives of the present configuration. */
  readonly communicator: Communicator;
}

/**
 * Trains as `train` does, and goes on after the loss of other ranks: in the next configuration every rank starts from the
 * newest snapshot of which all pieces are there, else from the newest whole checkpoint, else from the start. Steps are
 * functions of the state before them, so those that are made again come to the same losses and weights.
 */
export async function trainElastic(
  options: Omit<TrainOptions, 'communicator' | 'recovery'>,
  places: Places,
): Promise<Report> {
  const { config, outDir } = options;
  const snapshots = new Snapshots({ every: config.elastic.snapshotSteps });
  let place = await places.takePlace();
  for (;;) {
    const { generation, rank, start } = place;
    const afresh = generation > 0 && rank === 0 && !start;
    const resume: Checkpoint | undefined = afresh
      ? await checkpointToResume(outDir, 'start', () => {})
      : generation === 0
        ? options.resume
        : undefined;
    try {
      const { communicator } = places;
      return await train({ ...options, resume, communicator, recovery: { snapshots, generation, start } });
    } catch (error) {
      if (!places.isRecoverable(error)) throw error;
      place = await places.begin(error, snapshots.held);
    }
  }
}
