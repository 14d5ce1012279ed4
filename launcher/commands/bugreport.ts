import type { Argv, CommandModule } from 'yargs';
import { summaries } from '../summaries.js';
import type { BugReportArguments } from '../actions/bugreport.js';

export const bugreportCommand: CommandModule<object, BugReportArguments> = {
  command: 'bugreport <run>',
  describe: summaries.bugreport,
  builder: (yargs) =>
    yargs
      .positional('run', { type: 'string', demandOption: true, describe: 'run folder' })
      .option('out', {
        type: 'string',
        describe: 'file to write [default: bugreport-<run>-<date>.tar.gz in this folder]',
      })
      .option('json', {
        type: 'boolean',
        default: false,
        describe: 'print what is in it as JSON, and nothing else',
      })
      .example(
        '$0 bugreport runs/digits',
        'logs, settings, faults and this machine, without secrets, names or weights',
      )
      .example(
        'tar -tzf bugreport-digits-2026-11-30.tar.gz',
        'look through it before it is sent',
      ) as Argv<BugReportArguments>,
  handler: async (args) => (await import('../actions/bugreport.js')).bugreport(args),
};
