import type { Argv, CommandModule } from 'yargs';
import { moduleFlags, recipeFlags, runFlags } from '../flags.js';
import { summaries } from '../summaries.js';
import type { WorkerArguments } from '../actions/worker.js';

export const workerCommand: CommandModule<object, WorkerArguments> = {
  command: 'worker',
  describe: summaries.worker,
  builder: (yargs) =>
    (yargs.options({ ...recipeFlags(), ...runFlags }) as Argv<WorkerArguments>)
      .option('evaluate', {
        type: 'string',
        requiresArg: true,
        describe: 'evaluate this checkpoint instead of training',
      })
      .options(moduleFlags)
      .example(
        'torchrun --no-python --nproc-per-node 4 $0 worker --config digits',
        'four workers under torchrun',
      )
      .example(
        'srun -n 8 $0 worker --config cifar10-resnet20',
        'eight workers under Slurm',
      ) as Argv<WorkerArguments>,
  handler: async (args) => (await import('../actions/worker.js')).work(args),
};
