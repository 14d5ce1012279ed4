import { UserError } from '../../util/errors.js';

export interface SlurmRequest {
  name: string;
  nodes: number;
  /** GPUs of each node, a worker each. */
  gpusPerNode?: number;
  /** Workers of each node, where there are no GPUs. */
  workersPerNode: number;
  cpusPerWorker?: number;
  /** As Slurm writes it: `12:00:00`, `1-00:00`. */
  time: string;
  /** Tasks of a chain or of several runs, such as `1-20%1`. */
  array?: string;
  partition?: string;
  account?: string;
  /** Seconds that an end in order may take. */
  graceSeconds: number;
  /** Command that is a worker, with its arguments. */
  command: readonly string[];
}

const times = /^(?:\d+-)?\d{1,4}(?::\d{2}){0,2}$/;
const arrays = /^[\d,-]+(?::\d+)?(?:%\d+)?$/;
const words = /^[\w.,:@+/-]+$/;

/** Seconds between the signal and the end of the grace, and the end of the time. */
const marginSeconds = 30;
/** Least seconds that Slurm needs to signal in time: it looks once a minute. */
const leastSeconds = 60;

/**
 * A script for `sbatch`. Before the time is over every task gets SIGUSR1, writes a checkpoint together with all others and
 * ends with 75; then the script has Slurm queue the job again, and `--resume` goes on. Also a job that Slurm itself queues
 * again, after the loss of a node, goes on.
 *
 * @throws UserError `USAGE` for what Slurm would not take
 */
export function slurmScript(request: SlurmRequest): string {
  const { name, nodes, gpusPerNode, workersPerNode, cpusPerWorker, time, array, partition, account } =
    request;
  refuse('--time', time, times, 'a time such as 12:00:00 or 1-00:00');
  refuse('--array', array, arrays, 'tasks such as 1-20%1');
  refuse('--partition', partition, words, 'the name of a partition');
  refuse('--account', account, words, 'the name of an account');
  const lead = Math.max(leastSeconds, request.graceSeconds + marginSeconds);
  const settings = [
    `job-name=${name}`,
    `nodes=${nodes}`,
    `ntasks-per-node=${gpusPerNode ?? workersPerNode}`,
    ...(gpusPerNode === undefined ? [] : [`gpus-per-node=${gpusPerNode}`]),
    ...(cpusPerWorker === undefined ? [] : [`cpus-per-task=${cpusPerWorker}`]),
    `time=${time}`,
    ...(array === undefined ? [] : [`array=${array}`]),
    ...(partition === undefined ? [] : [`partition=${partition}`]),
    ...(account === undefined ? [] : [`account=${account}`]),
    ...['requeue', 'open-mode=append', `signal=USR1@${lead}`],
    `output=${name}-${array === undefined ? '%j' : '%A_%a'}.out`,
  ];
  const again = array === undefined ? '$SLURM_JOB_ID' : '${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}';
  return [
    '#!/bin/bash',
    ...settings.map((setting) => `#SBATCH --${setting}`),
    '',
    `srun ${request.command.map(quoted).join(' ')}`,
    'code=$?',
    '# Its time is over and a checkpoint is written: goes on when it is its turn again.',
    `[ $code = 75 ] && scontrol requeue "${again}"`,
    'exit $code',
    '',
  ].join('\n');
}

function refuse(flag: string, given: string | undefined, pattern: RegExp, wanted: string): void {
  if (given !== undefined && !pattern.test(given))
    throw new UserError('USAGE', `${flag} ${given}: give ${wanted}`);
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
