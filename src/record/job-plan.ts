import { join } from 'node:path';
import { sync as writeFileAtomicSync } from 'write-file-atomic';
import { z } from 'zod';
import { makeFolder } from '../util/make-folder.js';
import { readRegularText } from '../util/regular-file.js';

const text = z.string();
const whole = z.int().min(0);

const jobPlanSchema = z.object({
  /** Device of each worker (`DevicePlan`); absent where each host plans its own. */
  devices: z
    .object({
      perWorker: z
        .array(
          z.object({ env: z.record(text, text), device: text, within: z.array(text).readonly().optional() }),
        )
        .min(1),
      gpu: z.boolean(),
      notice: text.optional(),
    })
    .optional(),
  /** Arguments of `launcher/worker-process.ts` besides the run folder's. */
  workerArgs: z.array(text),
  /** Whether tasks of torchrun, Slurm or MPI keep the places of workers. */
  kept: z.boolean().default(false),
  /** Description of the run, for those who follow it. */
  name: text,
  epochs: whole,
  /** Training images, and steps of an epoch. */
  images: whole,
  stepsPerEpoch: whole,
  /** Position of the checkpoint that the run goes on from. */
  resumed: z.object({ epochs: whole, steps: whole }).optional(),
  /** When the run is to end in order, in milliseconds since 1970, and the seconds that it has to end in order. */
  endAt: z.number().optional(),
  graceSeconds: z.number(),
  /** Whether the run folder was made for this job. */
  made: z.boolean(),
});

/** How a job runs, in `job/plan.json`: written before it starts, for every process that runs its coordinator. */
export type JobPlan = z.output<typeof jobPlanSchema>;

const mostBytes = 16 * 2 ** 20;

/** Arguments of a worker that trains with the recipe in a run folder, as this host sees that. */
export function workerArgsOf(folder: string, more: readonly string[]): string[] {
  return ['--config', join(folder, 'config.yaml'), '--out', folder, ...more];
}

/** Writes the plan of a job to its run folder. */
export function writeJobPlan(folder: string, plan: JobPlan): void {
  makeFolder(join(folder, 'job'), 0o700);
  writeFileAtomicSync(join(folder, 'job', 'plan.json'), `${JSON.stringify(plan)}\n`, { mode: 0o600 });
}

/** The plan of the job in a run folder; throws where there is none. */
export function readJobPlan(folder: string): JobPlan {
  return jobPlanSchema.parse(JSON.parse(readRegularText(join(folder, 'job', 'plan.json'), { mostBytes })));
}

/** Whether tasks of torchrun, Slurm or MPI keep the places of the workers of the job in a run folder. */
export function isForTasks(folder: string): boolean {
  try {
    return readJobPlan(folder).kept;
  } catch {
    return false;
  }
}
