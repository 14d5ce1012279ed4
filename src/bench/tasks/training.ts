import { initBackend } from '../../backend/index.js';
import type { Communicator } from '../../collective/communicator.js';
import type { Config } from '../../config/schema.js';
import type { Tracer } from '../../trace/tracer.js';
import { measureStep, type MeasureOptions, type StepMeasurement } from '../measure-step.js';

export interface TrainingTask extends Required<
  Pick<MeasureOptions, 'model' | 'batch' | 'statistics' | 'warmup' | 'steps'>
> {
  /** Default: the recipe's. */
  bucketBytes?: number;
  backend: Config['backend'];
}

/** The last collective: what the trace holds of it comes after all that is measured. */
export const lastCollective = 'measured';

/** Real training steps over all ranks, with overlap; the trace has what they spend their time on. */
export async function training(
  communicator: Communicator,
  { backend, ...options }: TrainingTask,
  tracer: Tracer,
): Promise<StepMeasurement> {
  await initBackend(backend);
  const measured = await measureStep({ ...options, overlap: 'on', communicator, tracer });
  tracer.flush();
  await communicator.barrier({ tag: lastCollective });
  return measured;
}
