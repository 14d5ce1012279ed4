import type { Argv, CommandModule } from 'yargs';
import type { SbatchArguments } from '../actions/sbatch.js';
import { moduleFlags, recipeFlags, runFlags } from '../flags.js';
import { summaries } from '../summaries.js';

export const sbatchCommand: CommandModule<object, SbatchArguments> = {
  command: 'sbatch',
  describe: summaries.sbatch,
  builder: (yargs) =>
    (yargs.options({ ...recipeFlags(), ...runFlags, ...moduleFlags }) as Argv<SbatchArguments>)
      .option('nodes', { type: 'number', default: 1, requiresArg: true, describe: 'nodes' })
      .option('gpus-per-node', {
        type: 'number',
        requiresArg: true,
        describe: 'GPUs of each node, a worker each',
      })
      .option('time', {
        type: 'string',
        demandOption: true,
        requiresArg: true,
        describe: 'time limit as Slurm writes it, such as 12:00:00; the job is queued again at its end',
      })
      .option('cpus-per-task', { type: 'number', requiresArg: true, describe: 'cores of each worker' })
      .option('array', { type: 'string', requiresArg: true, describe: 'tasks, such as 1-20%1' })
      .option('partition', { type: 'string', requiresArg: true, describe: 'partition' })
      .option('account', { type: 'string', requiresArg: true, describe: 'account' })
      .example(
        '$0 sbatch --nodes 4 --gpus-per-node 8 --time 12:00:00 --config faces.yaml --out runs/faces > job.sh',
        'a script for sbatch; --workers are those of each node without GPUs',
      ) as Argv<SbatchArguments>,
  handler: async (args) => (await import('../actions/sbatch.js')).sbatch(args),
};
