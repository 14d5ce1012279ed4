import type { Argv, CommandModule } from 'yargs';
import type { FindRateArguments } from '../actions/lr-find.js';
import { moduleFlags, recipeFlags } from '../flags.js';
import { summaries } from '../summaries.js';

export const lrFindCommand: CommandModule<object, FindRateArguments> = {
  command: 'lr-find',
  describe: summaries['lr-find'],
  builder: (yargs) =>
    (yargs.options(recipeFlags()) as Argv<FindRateArguments>)
      .option('gpus', {
        type: 'string',
        alias: 'g',
        requiresArg: true,
        conflicts: 'workers',
        describe: 'workers, one a GPU, or all',
      })
      .options(moduleFlags)
      .option('from', { type: 'number', default: 1e-5, requiresArg: true, describe: 'first learning rate' })
      .option('to', { type: 'number', default: 10, requiresArg: true, describe: 'last learning rate' })
      .option('steps', {
        type: 'number',
        default: 100,
        requiresArg: true,
        describe: 'steps from one to the other',
      })
      .option('svg', { type: 'string', requiresArg: true, describe: 'draw the losses into this file' })
      .option('json', { type: 'boolean', default: false, describe: 'print the result as JSON' })
      .example('$0 lr-find --config cifar10-resnet20 -n 2', 'with two workers')
      .example(
        '$0 lr-find --config faces.yaml --svg rates.svg',
        'draws the curve',
      ) as Argv<FindRateArguments>,
  handler: async (args) => (await import('../actions/lr-find.js')).lrFind(args),
};
