import type { Communicator } from '../collective/communicator.js';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { noTracer } from '../trace/tracer.js';
import { messageOf } from '../util/errors.js';
import type { Report } from '../record/records.js';
import type { Held, Start } from './recovery-point.js';
import { checkpointToResume } from './resume.js';
import { Contributions } from './contributions.js';
import { Snapshots } from './snapshots.js';
import { train } from './train.js';
import type { Reuse, TrainOptions } from './train-options.js';

/** A worker's places in the configurations of its job, one after another. */
export interface Places {
  /** Resolves with its first place, once all ranks are connected; with undefined where the job ends without it. */
  takePlace(): Promise<{ generation: number; rank: number; start?: Start } | undefined>;
  /** Leaves a configuration for the next one; resolves with the place there. */
  begin(cause: unknown, held: readonly Held[]): ReturnType<Places['takePlace']>;
  /** Reports that this rank has taken the snapshot of this moment. */
  sealed(at: number): void;
  /** Resolves once every rank is done. */
  finish(): Promise<void>;
  /** Whether a failure is one from which the other ranks go on with this one. */
  isRecoverable(error: unknown): boolean;
  /** Collectives of the present configuration. */
  readonly communicator: Communicator;
}

/**
 * Trains as `train` does, and goes on after the loss of other ranks: in the next configuration every rank starts from the
 * newest snapshot of which all pieces are there, else from the newest whole checkpoint, else from the start. Steps are
 * functions of the state before them, so those that are made again come to the same losses and weights.
 *
 * @returns the run's report; undefined in a spare that was not needed
 */
export async function trainElastic(
  options: Omit<TrainOptions, 'communicator' | 'recovery'>,
  places: Places,
): Promise<Report | undefined> {
  const { config, outDir, tracer = noTracer } = options;
  const snapshots = new Snapshots({
    every: config.elastic.snapshotSteps,
    onTaken: (at) => places.sealed(at),
    tracer,
  });
  const contributions = new Contributions();
  const reuse: Reuse = { inspected: new Set() };
  try {
    let place = await places.takePlace();
    while (place) {
      const { generation, rank, start } = place;
      let resume: Checkpoint | undefined;
      if (generation === 0) resume = options.resume;
      else if (rank === 0 && !start) resume = await checkpointToResume(outDir, 'start', () => {});
      try {
        const { communicator } = places;
        contributions.begin(rank, communicator.worldSize);
        const report = await train({
          ...options,
          resume,
          communicator,
          recovery: { snapshots, contributions, generation, start },
          reuse,
        });
        await places.finish();
        return report;
      } catch (error) {
        if (!places.isRecoverable(error)) throw error;
        const began = tracer.now();
        place = await places.begin(error, snapshots.leave());
        tracer.span('incidents', 'reform', began, {
          for: messageOf(error),
          generation: place?.generation ?? 0,
        });
      }
    }
    return undefined;
  } finally {
    await reuse.unknown?.close();
  }
}
