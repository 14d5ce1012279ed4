import type { ArgumentsCamelCase, Argv, CommandModule } from 'yargs';
import { UserError } from '../../src/util/errors.js';
import { summaries } from '../summaries.js';

interface ResizeArguments {
  run: string;
  workers: number;
}

export const resizeCommand: CommandModule<object, ResizeArguments> = {
  command: 'resize <run>',
  describe: summaries.resize,
  builder: (yargs) =>
    yargs
      .positional('run', { type: 'string', demandOption: true, describe: 'run folder' })
      .option('workers', {
        type: 'number',
        alias: 'n',
        demandOption: true,
        requiresArg: true,
        describe: 'workers that the run is to have',
      })
      .example(
        '$0 resize runs/digits --workers 2',
        'go on with two workers from the next step on',
      ) as Argv<ResizeArguments>,
  handler: async ({ run, workers }: ArgumentsCamelCase<ResizeArguments>) => {
    if (!Number.isInteger(workers) || workers < 1)
      throw new UserError('USAGE', `--workers ${workers}: give a whole number from 1 on`);
    const { resizeRun } = await import('../../src/launching/agent/resize-run.js');
    await resizeRun(run, workers);
    process.stdout.write(
      `${run}: goes on with ${workers} worker${workers === 1 ? '' : 's'} as soon as they are there; pod-dist status ${run} shows them\n`,
    );
  },
};
