import type { CommandModule } from 'yargs';
import { stepCommand } from './bench/step.js';
import { allReduceCommand } from './bench/allreduce.js';
import { loaderCommand } from './bench/loader.js';
import { scalingCommand } from './bench/scaling.js';
import { summaries } from '../summaries.js';

export const benchCommand: CommandModule = {
  command: 'bench <what>',
  describe: summaries.bench,
  builder: (yargs) =>
    yargs
      .command(allReduceCommand)
      .command(loaderCommand)
      .command(scalingCommand)
      .command(stepCommand)
      .demandCommand(1, 'say what to measure'),
  handler: () => {},
};
