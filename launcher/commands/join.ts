import type { Argv, CommandModule } from 'yargs';
import { summaries } from '../summaries.js';
import type { JoinArguments } from '../actions/join.js';

export const joinCommand: CommandModule<object, JoinArguments> = {
  command: 'join <run>',
  describe: summaries.join,
  builder: (yargs) =>
    yargs
      .positional('run', { type: 'string', demandOption: true, describe: 'run folder, which this host sees' })
      .example('$0 join /nfs/runs/faces', 'take the place of the next worker that is lost')
      .example(
        '$0 resize /nfs/runs/faces --workers 9',
        'on the host of the run: go on with the one that has joined, too',
      ) as Argv<JoinArguments>,
  handler: async (args) => (await import('../actions/join.js')).join(args),
};
