import { UserError } from '../../util/errors.js';
import { canonicalHost } from '../../transport/addresses.js';
import { mostWorkers } from '../../util/bounds.js';
import type { Meeting } from './worker-ends.js';

/** Place of a host in a job, as flags or the environment give it. */
export interface NodePlace extends Meeting {
  /** Number of hosts. */
  nodes: number;
  /** Number of this one, from 0. */
  nodeRank: number;
  /** Workers on each host. */
  workers: number;
}

export interface NodeFlags {
  nnodes?: string;
  nodeRank?: string;
  /** `host:port` where rank 0 listens. */
  rendezvous?: string;
  workers?: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Whether `launch` is one of several commands of a job, one a host. */
export function isNode({ nnodes }: NodeFlags, environment: Environment): boolean {
  return nnodes !== undefined || environment.PET_NNODES !== undefined;
}

/**
 * Reads a host's place from flags; where one is missing from torchrun's variables for a whole host (`PET_NNODES`,
 * `PET_NODE_RANK`, `PET_NPROC_PER_NODE`, `PET_MASTER_ADDR`, `PET_MASTER_PORT`), which Kubernetes' operators set, from the
 * index of a pod in its Job (`JOB_COMPLETION_INDEX`), and from `RANK`, `MASTER_ADDR` and `MASTER_PORT`.
 *
 * @throws UserError `USAGE` for a flag, `ENVIRONMENT_INVALID` for a variable
 */
export function readNodePlace(flags: NodeFlags, environment: Environment): NodePlace {
  const nodes = whole(first(flags, environment, 'nnodes', '--nnodes', ['PET_NNODES']), 1, mostWorkers) ?? 1;
  const rank = first(flags, environment, 'nodeRank', '--node-rank', [
    'PET_NODE_RANK',
    'JOB_COMPLETION_INDEX',
    'RANK',
  ]);
  const nodeRank = whole(rank, 0, nodes - 1) ?? (nodes === 1 ? 0 : undefined);
  if (nodeRank === undefined)
    throw new UserError('USAGE', `--node-rank is missing: give this host's number, from 0 to ${nodes - 1}`);
  const workers =
    whole(first(flags, environment, 'workers', '--workers', ['PET_NPROC_PER_NODE']), 1, mostWorkers) ?? 1;
  return { nodes, nodeRank, workers, ...meetingOf(flags, environment, nodes) };
}

interface Given {
  value: string;
  source: string;
  flag: boolean;
}

function first(
  flags: NodeFlags,
  environment: Environment,
  key: keyof NodeFlags,
  flag: string,
  variables: readonly string[],
): Given | undefined {
  const given = flags[key];
  if (given !== undefined) return { value: given, source: flag, flag: true };
  const name = variables.find((variable) => environment[variable]);
  return name === undefined ? undefined : { value: environment[name] ?? '', source: name, flag: false };
}

function whole(given: Given | undefined, least: number, most: number): number | undefined {
  if (given === undefined) return undefined;
  const { value, source, flag } = given;
  const number = Number(value);
  if (/^\d+$/.test(value.trim()) && number >= least && number <= most) return number;
  const range = `a whole number from ${least} to ${most}`;
  throw flag
    ? new UserError('USAGE', `${source} ${value}: give ${range}`)
    : new UserError('ENVIRONMENT_INVALID', `${source} is "${value}": it must be ${range}`);
}

function meetingOf({ rendezvous }: NodeFlags, environment: Environment, nodes: number): Meeting {
  if (rendezvous !== undefined) return readMeeting(rendezvous);
  const host = environment.PET_MASTER_ADDR || environment.MASTER_ADDR;
  const port = environment.PET_MASTER_PORT || environment.MASTER_PORT;
  if (host && port) return readMeeting(`${host.includes(':') ? `[${host}]` : host}:${port}`);
  if (nodes === 1) return { host: '127.0.0.1', port: 29_500 };
  throw new UserError(
    'USAGE',
    '--rendezvous is missing: give HOST:PORT, an address of host 0 that the others reach and a free port there',
  );
}

/** Reads `host:port`. */
export function readMeeting(text: string): Meeting {
  const [, host = '', digits] = /^(\[[^\]]+\]|[^:\s]+):(\d+)$/.exec(text) ?? [];
  const port = Number(digits);
  if (port >= 1 && port <= 65_535) return { host: canonicalHost(host), port };
  throw new UserError('USAGE', `--rendezvous ${text}: give HOST:PORT, such as node0:29500`);
}
