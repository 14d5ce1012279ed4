import type { BackendName } from '../backend/backends.js';
import { initBackend } from '../backend/index.js';
import { profileKernels, type KernelTime } from '../backend/profile.js';
import type { Config } from '../config/schema.js';
import { reportOf, type ErrorReport } from '../util/errors.js';
import { measureStep, type MeasureOptions, type StepMeasurement } from './measure-step.js';

/** Task for the measuring process. */
export interface StepTask extends Omit<MeasureOptions, 'onWarm'> {
  backend: Config['backend'];
  profile: boolean;
}

/** Answer of the measuring process. */
export type StepAnswer =
  | { kind: 'measured'; backend: BackendName; device: string; step: StepMeasurement; kernels?: KernelTime[] }
  | ({ kind: 'failed' } & ErrorReport);

async function measure({ backend: name, profile, ...options }: StepTask): Promise<StepAnswer> {
  const backend = await initBackend(name, { precision: options.precision });
  const profiler = profile ? profileKernels() : undefined;
  const step = await measureStep({ ...options, onWarm: () => profiler?.reset() });
  const kernels = profiler?.stop().map((time) => ({
    ...time,
    milliseconds: time.milliseconds / step.steps,
    calls: time.calls / step.steps,
  }));
  return { kind: 'measured', backend: backend.name, device: backend.device, step, kernels };
}

process.once('message', (task: StepTask) => {
  measure(task)
    .catch((error: unknown): StepAnswer => ({
      kind: 'failed',
      ...reportOf(error),
    }))
    .then((answer) => process.send?.(answer, () => process.disconnect()))
    .catch(() => process.exit(1));
});
