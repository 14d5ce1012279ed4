import type { Options } from 'yargs';

const alone = ['hostfile', 'nnodes', 'node-rank', 'gpus', 'workers'];

/** Flags of a job over several hosts. */
export const hostFlags: Record<string, Options> = {
  hosts: {
    type: 'string',
    requiresArg: true,
    conflicts: alone,
    describe: 'hosts and the workers on each, such as a:4,b:4: starts them by ssh',
  },
  hostfile: {
    type: 'string',
    requiresArg: true,
    conflicts: alone.filter((name) => name !== 'hostfile'),
    describe: 'file with a host a line, such as a slots=4',
  },
  env: {
    type: 'string',
    array: true,
    nargs: 1,
    default: [],
    describe: 'variable of this command that workers of --hosts get, such as CUDA_VISIBLE_DEVICES',
  },
  ssh: {
    type: 'string',
    requiresArg: true,
    default: 'ssh',
    describe: 'command in place of ssh, such as "ssh -F FILE"',
  },
  nnodes: {
    type: 'string',
    requiresArg: true,
    describe:
      'hosts of the job, where something else starts this command on each; --workers are those of one host; 2:8: elastic',
  },
  'node-rank': { type: 'string', requiresArg: true, describe: "this host's number, from 0" },
  rendezvous: { type: 'string', requiresArg: true, describe: 'HOST:PORT at which rank 0 listens, on host 0' },
};

export interface HostArguments {
  hosts?: string;
  hostfile?: string;
  env: string[];
  ssh: string;
  nnodes?: string;
  nodeRank?: string;
  rendezvous?: string;
}
