import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { messageOf, UserError } from '../../util/errors.js';
import { canonicalHost, isLoopback } from '../../transport/addresses.js';
import { secretVariables } from '../secret/read-secret.js';

/** The program that started this worker. */
export type Starter = 'pod-dist' | 'torchrun' | 'Slurm' | 'Open MPI' | 'MPICH';

/** A worker's place in its job, as the environment gives it. */
export interface JobEnvironment {
  starter: Starter;
  /** -1 for a worker that takes the place of a lost one. */
  rank: number;
  worldSize: number;
  /** Number of the process among those that `pod-dist launch` has started for the job. */
  worker?: number;
  localRank: number;
  /** Workers of the job on this host. */
  localWorldSize: number;
  /** Environment variable that every worker of the job has, but not the process that started them. */
  rankVariable: string;
  /** Where the coordinator listens. */
  host: string;
  port: number;
  /** Set where `host` is a node's name in Slurm's list. */
  hostIsNode?: true;
  /** The job's secret, from `pod-dist launch`; empty where something else has started this worker. */
  token: string;
  /** Set for a worker that has come by itself, maybe from another host. */
  guest?: true;
  /** Number of the worker whose place it takes. */
  replaces?: number;
  /** Set where a process of torchrun, Slurm or MPI keeps its place: its rank there, and whether it has the run folder. */
  home?: { rank: number; leads: boolean };
  /** Threads to compute with, where whoever has started it says so. */
  threads?: number;
  /** Whether it goes on where the process that has started it ends: another one then takes the job over. */
  outlives?: boolean;
  /** The same in all workers of the job, and in no other job of this user at the same time. */
  job: string;
  /** Rank 0 runs the coordinator, since no launcher of pod-dist's does. */
  ownCoordinator: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

interface Names {
  starter: Starter;
  rank: string;
  worldSize: string;
  localRank: string;
  localWorldSize(environment: Environment): string | undefined;
}

const families: readonly Names[] = [
  {
    starter: 'torchrun',
    rank: 'RANK',
    worldSize: 'WORLD_SIZE',
    localRank: 'LOCAL_RANK',
    localWorldSize: ({ LOCAL_WORLD_SIZE }) => LOCAL_WORLD_SIZE,
  },
  {
    starter: 'Open MPI',
    rank: 'OMPI_COMM_WORLD_RANK',
    worldSize: 'OMPI_COMM_WORLD_SIZE',
    localRank: 'OMPI_COMM_WORLD_LOCAL_RANK',
    localWorldSize: ({ OMPI_COMM_WORLD_LOCAL_SIZE }) => OMPI_COMM_WORLD_LOCAL_SIZE,
  },
  {
    starter: 'MPICH',
    rank: 'PMI_RANK',
    worldSize: 'PMI_SIZE',
    localRank: 'MPI_LOCALRANKID',
    localWorldSize: ({ MPI_LOCALNRANKS }) => MPI_LOCALNRANKS,
  },
  {
    starter: 'Slurm',
    rank: 'SLURM_PROCID',
    worldSize: 'SLURM_NTASKS',
    localRank: 'SLURM_LOCALID',
    localWorldSize: slurmTasksHere,
  },
];

/** Variables in which `pod-dist launch` gives its workers the address of the coordinator and the secret. */
export const launchVariables = {
  address: 'POD_DIST_ADDRESS',
  token: secretVariables.token,
  worker: 'POD_DIST_WORKER',
  /** Set for a worker that takes the place of a lost one. */
  spare: 'POD_DIST_SPARE',
  /** Number of the worker whose place it takes. */
  replaces: 'POD_DIST_REPLACES',
  /** Set for a worker whose place a process of torchrun, Slurm or MPI keeps; 1: it has the run folder. */
  kept: 'POD_DIST_KEPT',
  /** Threads to compute with. */
  threads: 'POD_DIST_THREADS',
  /** Lock of the run folder, for the process that runs the job. */
  lock: 'POD_DIST_LOCK',
  /** Set for a worker that goes on where the process that has started it ends. */
  outlives: 'POD_DIST_OUTLIVES',
  /** Set for a worker of a job over several hosts, whose parent is the process that starts the workers of its host. */
  hosted: 'POD_DIST_HOSTED',
} as const;

/**
 * Reads rank, world size and the coordinator's address from what `pod-dist launch`, torchrun, Slurm, Open MPI or
 * MPICH set, in this order of precedence (torchrun's variables may be set by hand under any of them).
 *
 * @throws UserError `ENVIRONMENT_INVALID` where variables are missing, half set or contradictory
 */
export function readJobEnvironment(
  environment: Environment,
  parentPid: number = process.ppid,
): JobEnvironment {
  const family = families.find((names) => isPresent(names, environment));
  if (!family) {
    throw new UserError(
      'ENVIRONMENT_INVALID',
      'pod-dist worker needs RANK and WORLD_SIZE (or the variables of Slurm or MPI): start it with torchrun, srun or mpirun, or use pod-dist launch',
    );
  }
  const rank = whole(environment, family.rank, 0);
  const worldSize = whole(environment, family.worldSize, 1);
  if (rank >= worldSize) {
    throw new UserError(
      'ENVIRONMENT_INVALID',
      `${family.rank} is ${rank}, but ${family.worldSize} is ${worldSize}: ranks go from 0 to ${worldSize - 1}`,
    );
  }
  const localRank =
    environment[family.localRank] === undefined ? rank : whole(environment, family.localRank, 0);
  const local = {
    localRank,
    localWorldSize: localSize(family.localWorldSize(environment), localRank, worldSize),
    rankVariable: family.rank,
  };
  const { starter } = family;
  const launched = environment[launchVariables.address];
  if (launched) {
    const { host, port } = splitAddress(launched);
    const token = environment[launchVariables.token] ?? '';
    const own = environment[launchVariables.spare] === '1' ? -1 : rank;
    const worker = Number(environment[launchVariables.worker] ?? rank);
    const place = { starter: 'pod-dist', rank: own, worker, worldSize, ...local, host, port, token } as const;
    const { outlives, replaces, kept, threads } = launchVariables;
    return {
      ...{ ...place, job: launched, ownCoordinator: false },
      outlives: environment[outlives] === '1',
      replaces: optional(environment, replaces),
      home: environment[kept] === undefined ? undefined : { rank, leads: environment[kept] === '1' },
      threads: optional(environment, threads),
    };
  }
  const { host, port } = meetingPoint(starter, environment, worldSize, parentPid);
  const job = jobName({ starter, host, port, worldSize }, environment);
  const fromSlurm = starter === 'Slurm' && !environment.MASTER_ADDR && !isLoopback(host);
  const node = fromSlurm ? ({ hostIsNode: true } as const) : {};
  return { starter, rank, worldSize, ...local, host, port, ...node, token: '', job, ownCoordinator: true };
}

/**
 * Name of a job: the place where its coordinator listens. Loopback is another place on every host, and in every
 * container.
 */
function jobName(
  { starter, host, port, worldSize }: Pick<JobEnvironment, 'starter' | 'host' | 'port' | 'worldSize'>,
  { SLURM_JOB_ID = '', SLURM_STEP_ID = '' }: Environment,
): string {
  const where = isLoopback(host) ? [networkId()] : [];
  const step = starter === 'Slurm' ? [SLURM_JOB_ID, SLURM_STEP_ID] : [];
  return [host, port, worldSize, ...step, ...where].join(' ');
}

/** Names this host's network: the running kernel, and the network namespace in it. */
function networkId(): string {
  try {
    const kernel = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${kernel} ${readlinkSync('/proc/self/ns/net')}`;
  } catch {
    return hostname();
  }
}

/**
 * Refuses `pod-dist launch` as one of several tasks of torchrun, srun or mpirun: each would train a whole job. A
 * script of sbatch, or a step of one task, does not count as one of several.
 *
 * @throws UserError `ENVIRONMENT_INVALID`
 */
export function refuseTask(environment: Environment): void {
  const family = families.find((names) => isPresent(names, environment));
  if (!family) return;
  const sizeName = family.starter === 'Slurm' ? 'SLURM_STEP_NUM_TASKS' : family.worldSize;
  const size = Number(environment[sizeName]);
  if (!(size > 1)) return;
  throw new UserError(
    'ENVIRONMENT_INVALID',
    `pod-dist launch is one of ${size} tasks that ${family.starter} has started (${sizeName} is ${size}), and each would train a job of its own: give ${family.starter} pod-dist worker, or unset ${family.rank}`,
  );
}

/**
 * Under srun, Slurm's process interface sets MPICH's ranks as well, but not MPICH's local ranks; under MPICH's mpirun in
 * a Slurm allocation, Slurm's variables are those of the node's proxy.
 */
function isPresent({ starter, rank, localRank }: Names, environment: Environment): boolean {
  if (environment[rank] === undefined) return false;
  return (
    starter !== 'MPICH' || environment[localRank] !== undefined || environment.SLURM_PROCID === undefined
  );
}

/** Number of workers on this host as the starter says, where that is possible; else as if all were here. */
function localSize(told: string | undefined, localRank: number, worldSize: number): number {
  const size = Number(told);
  return Number.isInteger(size) && size > localRank && size <= worldSize ? size : worldSize;
}

/** Slurm's tasks on this node, from a list such as `2(x3),1` and the node's number. */
function slurmTasksHere(environment: Environment): string | undefined {
  const list = environment.SLURM_STEP_TASKS_PER_NODE ?? environment.SLURM_TASKS_PER_NODE;
  let node = Number(environment.SLURM_NODEID ?? 0);
  for (const [, tasks, times = '1'] of (list ?? '').matchAll(/(\d+)(?:\(x(\d+)\))?/g)) {
    if (node < Number(times)) return tasks;
    node -= Number(times);
  }
  return undefined;
}

/** Address at which rank 0's coordinator is found. */
function meetingPoint(starter: Starter, environment: Environment, worldSize: number, parentPid: number) {
  const given = environment.MASTER_ADDR || defaultHost(starter, environment, worldSize);
  const host = given === undefined ? undefined : canonicalHost(given);
  if (host === undefined) {
    throw new UserError(
      'ENVIRONMENT_INVALID',
      'MASTER_ADDR is not set: set it to the host name of rank 0 on every host',
    );
  }
  if (environment.MASTER_PORT !== undefined) {
    // torchrun's own store listens on MASTER_PORT itself.
    const offset = environment.TORCHELASTIC_RUN_ID !== undefined ? 1 : 0;
    return { host, port: whole(environment, 'MASTER_PORT', 1, 65_535 - offset) + offset };
  }
  const job =
    environment.SLURM_JOB_ID ??
    environment.PMIX_NAMESPACE ??
    (isLoopback(host) ? String(parentPid) : undefined);
  if (starter === 'torchrun' || job === undefined) {
    throw new UserError(
      'ENVIRONMENT_INVALID',
      "MASTER_PORT is not set: set it to one free port of rank 0's host, the same everywhere",
    );
  }
  return { host, port: portFor(`${job}.${environment.SLURM_STEP_ID ?? ''}`) };
}

function defaultHost(starter: Starter, environment: Environment, worldSize: number): string | undefined {
  if (starter === 'Slurm') {
    const nodes = environment.SLURM_STEP_NODELIST ?? environment.SLURM_JOB_NODELIST;
    const alone = (environment.SLURM_STEP_NUM_NODES ?? environment.SLURM_NNODES) === '1';
    return alone ? '127.0.0.1' : nodes ? firstHost(nodes) : undefined;
  }
  const localSize = environment.OMPI_COMM_WORLD_LOCAL_SIZE ?? environment.MPI_LOCALNRANKS;
  return localSize !== undefined && Number(localSize) === worldSize ? '127.0.0.1' : undefined;
}

/** The first host of a Slurm node list: `n[03-05,9],m1` gives `n03`. */
export function firstHost(nodes: string): string {
  const [, name = nodes, range, rest] = /^([^[,]+)(?:\[([^\]]+)\])?([^[,]*)/.exec(nodes) ?? [];
  return range === undefined ? name : `${name}${range.split(/[-,]/)[0]}${rest}`;
}

/** A port from 20000 to 39999 that every worker of a job finds alike. */
function portFor(job: string): number {
  return 20_000 + (createHash('sha256').update(job).digest().readUInt32LE(0) % 20_000);
}

/** Host and port of a coordinator's address. */
export function splitAddress(address: string): { host: string; port: number } {
  const [, host, port] = /^tcp:\/\/\[?([^[\]]+)\]?:(\d+)$/.exec(address) ?? [];
  if (!host)
    throw new UserError(
      'ENVIRONMENT_INVALID',
      `${launchVariables.address} is ${address}, not tcp://host:port`,
    );
  return { host, port: Number(port) };
}

function optional(environment: Environment, name: string): number | undefined {
  return environment[name] === undefined ? undefined : whole(environment, name, 0, Number.MAX_SAFE_INTEGER);
}

function whole(environment: Environment, name: string, least: number, most = 65_535): number {
  const text = environment[name];
  const value = Number(text);
  if (text === undefined || !/^\d+$/.test(text.trim()) || value < least || value > most) {
    const what = text === undefined ? 'is not set' : `is "${messageOf(text)}"`;
    throw new UserError(
      'ENVIRONMENT_INVALID',
      `${name} ${what}: it must be a whole number from ${least} to ${most}`,
    );
  }
  return value;
}
