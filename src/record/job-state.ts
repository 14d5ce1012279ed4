import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { sync as writeFileAtomicSync } from 'write-file-atomic';
import { z } from 'zod';
import { identify, processSpace } from '../util/processes.js';
import { readRegularText } from '../util/regular-file.js';
import { jobEndSchema } from './job-end.js';

const whole = z.int().min(0);
const started = z.string().nullable();

const groupSchema = z.object({
  /** Counts the configurations of the job, from 0: each fault that an elastic job goes on from begins another. */
  generation: whole,
  ranks: z.array(z.object({ rank: whole, host: z.string(), pid: z.int(), worker: whole })),
  /** Workers that have joined and have no rank. */
  spares: z.array(z.object({ host: z.string(), pid: z.int(), worker: whole })).default([]),
});

/** The ranks of a job that train together. */
export type Group = z.output<typeof groupSchema>;

const startedWorkerSchema = z.object({ worker: whole, place: whole, pid: z.int(), started });

/** A worker process of this host, and the place that it was started in. */
export type StartedWorker = z.output<typeof startedWorkerSchema>;

const jobStateSchema = z.object({
  ...groupSchema.shape,
  /** Random name of the job, whichever process runs its coordinator. */
  id: z.string().default(''),
  /** Counts the processes that have run the coordinator. */
  term: whole,
  /** The process that does: it owns the workers. */
  agent: z.object({ host: z.string(), pid: z.int(), started, machine: z.string() }),
  /** The coordinator's address, such as `tcp://127.0.0.1:29500`. */
  address: z.string().optional(),
  /** Address that it listens on; `*`: all of its host. */
  listensOn: z.string().optional(),
  /** Its host's address as other hosts reach it, where that is known better than by the name. */
  reachableAs: z.string().optional(),
  /** The job's secret while the job runs, for workers that join it. */
  secret: z.string().optional(),
  /** Socket of the agent, for those who follow the run. */
  socket: z.string().optional(),
  /** Workers that the agent owns, and the number that the next one gets. */
  workers: z.array(startedWorkerSchema),
  nextWorker: whole,
  /** Number of workers that were asked for since the job began. */
  wanted: whole.optional(),
  /** Faults so far, less those that time has forgiven, and when that was counted, in milliseconds since 1970. */
  faults: z.object({ spent: z.number(), at: z.number() }).optional(),
  /** Why it has ended before its time. */
  ended: jobEndSchema.optional(),
});

/** Entries of a job in `job/job.json`: enough for another process to take it over. */
export type JobState = z.output<typeof jobStateSchema>;

const mostBytes = 16 * 2 ** 20;

function fileIn(folder: string): string {
  return join(folder, 'job', 'job.json');
}

/** Makes the folder of a job's files; a run folder that was removed is not made again. Throws the system's error. */
export function makeJobFolder(folder: string): void {
  const path = join(folder, 'job');
  if (!existsSync(path)) mkdirSync(path, { mode: 0o700 });
}

/** Forgets the job that a run folder was written by before. */
export function removeJobState(folder: string): void {
  rmSync(fileIn(folder), { force: true });
}

/** State of the job that has written to a run folder last; undefined where none has. */
export function readJobState(folder: string): JobState | undefined {
  const file = fileIn(folder);
  if (!existsSync(file)) return undefined;
  try {
    return jobStateSchema.safeParse(JSON.parse(readRegularText(file, { mostBytes }))).data;
  } catch {
    return undefined;
  }
}

/** State of an elastic job that has neither ended nor been given up, whether or not a process leads it at the moment. */
export function jobUnderWay(folder: string): JobState | undefined {
  const state = readJobState(folder);
  return state?.secret !== undefined && !state.ended ? state : undefined;
}

/** The file that shows which job owns a run folder, and the words in it while that is the present job. */
export function ownerOf(folder: string): { file: string; words: string } | undefined {
  const id = readJobState(folder)?.id;
  return id ? { file: fileIn(folder), words: id } : undefined;
}

/** Keeps `job/job.json` of a job that this process runs. */
export class JobStateFile {
  readonly file: string;
  private state: JobState;

  /** @param former what the process before has left, whose job this one takes over */
  constructor(
    private readonly folder: string,
    former?: JobState,
  ) {
    this.file = fileIn(folder);
    this.state = {
      ...{ generation: 0, ranks: [], spares: [], workers: [], nextWorker: 0 },
      id: randomUUID(),
      ...former,
      // Nobody listens there any more.
      ...{ address: undefined, listensOn: undefined, reachableAs: undefined, socket: undefined },
      term: former ? former.term + 1 : 0,
      agent: { host: hostname(), machine: processSpace(), ...identify() },
    };
  }

  /** Writes what has changed; throws the system's error. */
  update(change: Partial<JobState>): void {
    this.state = { ...this.state, ...change };
    makeJobFolder(this.folder);
    writeFileAtomicSync(this.file, `${JSON.stringify(this.state)}\n`, {
      mode: 0o600,
      fsync: false,
    });
  }
}
