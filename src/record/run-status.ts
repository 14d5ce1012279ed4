import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { parseYaml } from '../config/yaml.js';
import { recipeBytes } from '../config/recipe.js';
import { UserError } from '../util/errors.js';
import { readRegularText, regularBytes } from '../util/regular-file.js';
import type { JobEnd } from './job-end.js';
import { readJobState, type Group } from './job-state.js';
import { holderOf, type Holder } from './run-lock.js';

/** Whether a run is under way, has ended with all its epochs, by a failure, or before that for another reason. */
export type RunState = 'running' | 'finished' | 'failed' | 'stopped';

/** How far a run has come, and who works on it. */
export interface RunStatus {
  folder: string;
  state: RunState;
  /** The process that holds the run folder. */
  holder?: Pick<Holder, 'host' | 'pid' | 'since'>;
  /** Epochs that have ended, and that the run is to have. */
  epochs: number;
  wantedEpochs?: number;
  /** Steps so far, and the loss and the speed of the last one. */
  steps: number;
  loss?: number;
  samplesPerSecond?: number;
  /** Accuracy after the last epoch, from 0 to 1. */
  evalAccuracy?: number;
  /** The ranks, where there are several and they work. */
  group?: Group;
  /** Why it has ended before its time. */
  ended?: JobEnd;
  /** Faults that the run has gone on from, and the last one. */
  incidents: number;
  lastIncident?: z.output<typeof incidentSchema>;
}

const incidentSchema = z.object({
  time: z.string(),
  cause: z.string(),
  rank: z.int().optional(),
  seconds: z.number(),
});
const stepSchema = z.object({ step: z.int(), loss: z.number(), samplesPerSecond: z.number() });
const epochSchema = z.object({ epoch: z.int(), evalAccuracy: z.number() });

const mostBytes = 500_000_000;

/**
 * Reads how far a run has come from its folder.
 *
 * @throws UserError `RUN_NOT_FOUND`
 */
export function readRunStatus(folder: string): RunStatus {
  if (!existsSync(join(folder, 'config.yaml')))
    throw new UserError('RUN_NOT_FOUND', `there is no run in ${folder}: it has no config.yaml`);
  const holder = holderOf(folder);
  const metrics = linesOf(join(folder, 'metrics.jsonl'));
  const step = lastOf(metrics, stepSchema);
  const epoch = lastOf(metrics, epochSchema);
  const incidents = linesOf(join(folder, 'job', 'incidents.jsonl'));
  const job = readJobState(folder);
  const epochs = epoch ? epoch.epoch + 1 : 0;
  const { wantedEpochs, stopsEarly } = wishesOf(configOf(folder));
  const whole = isWhole({ epochs, wantedEpochs, stopsEarly, report: reportIn(folder) });
  return {
    folder,
    state: stateOf({ holder, ended: job?.ended, whole }),
    holder: holder && { host: holder.host, pid: holder.pid, since: holder.since },
    epochs,
    wantedEpochs,
    steps: step ? step.step + 1 : 0,
    loss: step?.loss,
    samplesPerSecond: step?.samplesPerSecond,
    evalAccuracy: epoch?.evalAccuracy,
    group: holder && job && { generation: job.generation, ranks: job.ranks, spares: job.spares },
    ended: holder ? undefined : job?.ended,
    incidents: incidents.length,
    lastIncident: lastOf(incidents, incidentSchema),
  };
}

interface StateParts {
  holder?: Holder;
  ended?: JobEnd;
  /** Whether its report is there, and is of all that it was to train. */
  whole: boolean;
}

export function stateOf({ holder, ended, whole }: StateParts): RunState {
  if (holder) return 'running';
  if (whole) return 'finished';
  return ended?.kind === 'failure' || ended?.kind === 'mistake' ? 'failed' : 'stopped';
}

interface Wishes {
  wantedEpochs?: number;
  /** Whether it may end before these epochs. */
  stopsEarly: boolean;
}

/** The end that a run's settings ask for; `settings` is unchecked, as read from its folder. */
export function wishesOf(settings: unknown): Wishes {
  const { epochs, stop } = (settings ?? {}) as { epochs?: unknown; stop?: { patience?: unknown } | null };
  const stopsEarly = typeof stop?.patience === 'number';
  return { wantedEpochs: typeof epochs === 'number' ? epochs : undefined, stopsEarly };
}

/** Whether a run has ended with its report; one that goes on for more epochs still has that of before. */
export function isWhole(run: Wishes & { epochs: number; report?: { epochs: number } }): boolean {
  const { epochs, wantedEpochs = 0, stopsEarly, report } = run;
  return report !== undefined && (epochs >= wantedEpochs || (stopsEarly && report.epochs === epochs));
}

function reportIn(folder: string): { epochs: number } | undefined {
  const file = join(folder, 'report.json');
  if (!existsSync(file)) return undefined;
  const text = regularBytes(file, mostBytes).toString('utf8');
  return z.object({ epochs: z.number() }).safeParse(parse(text)).data;
}

function linesOf(file: string): string[] {
  if (!existsSync(file)) return [];
  const text = regularBytes(file, mostBytes).toString('utf8');
  return text.split('\n').filter((line) => line.endsWith('}'));
}

/** The last line that holds such a record. */
function lastOf<T>(lines: readonly string[], schema: z.ZodType<T>): T | undefined {
  for (const line of lines.toReversed()) {
    const { data } = schema.safeParse(parse(line));
    if (data !== undefined) return data;
  }
  return undefined;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Settings of a run, as its folder has them. */
function configOf(folder: string): unknown {
  return parseYaml(readRegularText(join(folder, 'config.yaml'), { mostBytes: recipeBytes }), '').value;
}
