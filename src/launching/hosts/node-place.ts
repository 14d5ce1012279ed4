import { UserError } from '../../util/errors.js';
import { canonicalHost } from '../../transport/addresses.js';
import { mostWorkers } from '../../util/bounds.js';
import type { Meeting } from './worker-ends.js';

/** Place of a host in a job, as flags or the environment give it. */
export interface NodePlace extends Meeting {
  /** Number of hosts. */
  nodes: number;
  /** Hosts with which an elastic job begins and goes on, at least; undefined: it is not given as a range. */
  leastNodes?: number;
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
  const { leastNodes, nodes } = nodesOf(first(flags, environment, 'nnodes', '--nnodes', ['PET_NNODES']));
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
  return { nodes, leastNodes, nodeRank, workers, ...meetingOf(flags, environment, nodes) };
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

/** A number of hosts, or a range of those of an elastic job, such as 2:8. */
function nodesOf(given: Given | undefined): Pick<NodePlace, 'nodes' | 'leastNodes'> {
  if (given === undefined) return { nodes: 1 };
  const [, first, last] = /^(\d+)(?::(\d+))?$/.exec(given.value.trim()) ?? [];
  const [least, nodes] = [first, last ?? first].map((part = '') => wholeFrom(part, 1, mostWorkers));
  if (least === undefined || nodes === undefined || least > nodes)
    throw refusal(given, `a whole number from 1 to ${mostWorkers}, or two such as 2:8`);
  return last === undefined ? { nodes } : { nodes, leastNodes: least };
}

function whole(given: Given | undefined, least: number, most: number): number | undefined {
  if (given === undefined) return undefined;
  const number = wholeFrom(given.value, least, most);
  if (number !== undefined) return number;
  throw refusal(given, `a whole number from ${least} to ${most}`);
}

function wholeFrom(text: string, least: number, most: number): number | undefined {
  const number = Number(text);
  return /^\d+$/.test(text.trim()) && number >= least && number <= most ? number : undefined;
}

function refusal({ value, source, flag }: Given, what: string): UserError {
  return flag
    ? new UserError('USAGE', `${source} ${value}: give ${what}`)
    : new UserError('ENVIRONMENT_INVALID', `${source} is "${value}": it must be ${what}`);
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
