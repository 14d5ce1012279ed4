import { z } from 'zod';
import { jobEndSchema } from '../../record/job-end.js';
import { endCauses } from '../../util/signals.js';

/** Calls of a run's listeners that pass from the agent to those who follow the run. */
export const feedCalls = [
  'step',
  'checkpoint',
  'missed',
  'notice',
  'epoch',
  'evaluating',
  'evaluated',
  'finished',
] as const;

/** Line of the agent to those who follow. */
export const feedEvent = z.union([
  z.object({ call: z.enum(feedCalls), args: z.array(z.unknown()) }),
  /** A line for people; an incident is one that the run goes on with. */
  z.object({ line: z.string(), incident: z.boolean() }),
  /** Answer to an order for another number of workers; `refusal`: why not. */
  z.object({ resized: z.int(), refusal: z.string().optional() }),
  /** The run has ended well. */
  z.object({ report: z.record(z.string(), z.unknown()) }),
  z.object({ ended: jobEndSchema }),
]);
export type FeedEvent = z.output<typeof feedEvent>;

/** Line of one who follows to the agent. */
export const feedOrder = z.union([
  /** Sends everything from now on, and to the first one what was before. */
  z.object({ follow: z.literal(true) }),
  /** Ends the run at once; `by` is the signal's name. */
  z.object({ stop: z.string() }),
  /** Ends it after the step under way, with a checkpoint. */
  z.object({ end: z.enum(endCauses) }),
  /** Goes on with another number of workers. */
  z.object({ workers: z.int().min(1).max(65_536) }),
]);
export type FeedOrder = z.output<typeof feedOrder>;

/** Reads a line; undefined for one that is none of these, such as the half-written last line of a killed process. */
export function readLine<T>(schema: z.ZodType<T>, line: string): T | undefined {
  try {
    return schema.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}
