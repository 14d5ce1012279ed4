import type { Argv, CommandModule } from 'yargs';
import { plainFlag } from '../flags.js';
import { summaries } from '../summaries.js';
import type { AttachArguments } from '../actions/attach.js';

export const attachCommand: CommandModule<object, AttachArguments> = {
  command: 'attach <run>',
  describe: summaries.attach,
  builder: (yargs) =>
    yargs
      .positional('run', { type: 'string', demandOption: true, describe: 'run folder' })
      .option('plain', plainFlag)
      .option('json', {
        type: 'boolean',
        default: false,
        describe: 'print the report as JSON, and nothing else, on standard output',
      })
      .example(
        '$0 attach runs/digits',
        'show the run from now on; Ctrl-C leaves it alone',
      ) as Argv<AttachArguments>,
  handler: async (args) => (await import('../actions/attach.js')).attach(args),
};
