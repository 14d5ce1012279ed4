import type { CommandModule } from 'yargs';
import { allReduceCommand } from './bench/allreduce.js';

export const benchCommand: CommandModule = {
  command: 'bench <what>',
  describe: 'measure this machine',
  builder: (yargs) => yargs.command(allReduceCommand).demandCommand(1, 'say what to measure'),
  handler: () => {},
};
