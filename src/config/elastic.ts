import { z } from 'zod';
import { mostWorkers, upTo, zeroTo } from '../util/bounds.js';

export const elasticSchema = z.strictObject({
  enabled: z
    .boolean()
    .default(false)
    .describe('go on from the very step after the loss of a worker; false: that ends the run'),
  least: upTo(mostWorkers)
    .optional()
    .describe('go on with as few workers, until others have joined; default: wait for as many as before'),
  lastCallSeconds: z
    .number()
    .positive()
    .max(86_400)
    .default(30)
    .describe(
      'where a task or host each starts a part of the workers: begin with as few as least once no other has come for so long',
    ),
  spares: zeroTo(mostWorkers).default(0).describe('workers that wait to take the place of a lost one'),
  snapshotSteps: upTo(1_000_000)
    .optional()
    .describe(
      'steps from one snapshot in memory to the next; default: as few as cost at most 0.5 % of the time',
    ),
  faultsPerWorkerHour: z
    .number()
    .positive()
    .max(1_000_000)
    .default(6)
    .describe('faults of a worker in an hour, on average, after which the run ends all the same'),
});

/** Refuses a least number of workers that is above the wanted one. */
export function checkElastic(
  { workers, elastic: { least } }: { workers: number; elastic: { least?: number } },
  context: z.core.$RefinementCtx,
): void {
  if (least === undefined || least <= workers) return;
  context.addIssue({
    code: 'custom',
    path: ['elastic', 'least'],
    message: `is more than the ${workers} workers of the run: give --workers LEAST:MOST`,
  });
}
