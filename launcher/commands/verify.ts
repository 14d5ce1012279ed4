import type { Argv, CommandModule } from 'yargs';
import type { VerifyArguments } from '../actions/verify.js';
import { backendFlag, checkpointFlag, moduleFlags, setFlag, weightsFlag, workersFlag } from '../flags.js';
import { summaries } from '../summaries.js';

export const verifyCommand: CommandModule<object, VerifyArguments> = {
  command: 'verify',
  describe: summaries.verify,
  builder: (yargs) =>
    yargs
      .option('checkpoint', checkpointFlag)
      .options(moduleFlags)
      .option('weights', weightsFlag)
      .option('root', {
        type: 'string',
        demandOption: true,
        requiresArg: true,
        describe: 'folder of images in a folder a class, which need not be those of the training',
      })
      .option('pairs', {
        type: 'string',
        requiresArg: true,
        describe: 'list of pairs: LFW\'s pairs.txt, or lines "path path 1" (same class) and "path path 0"',
      })
      .option('neighbours', {
        type: 'number',
        requiresArg: true,
        describe: 'judge images by the classes of this many nearest others, too',
      })
      .option('workers', workersFlag)
      .option('backend', backendFlag())
      .option('set', setFlag)
      .option('json', {
        type: 'boolean',
        default: false,
        describe: 'print the result as JSON, with the ROC curve',
      })
      .example('$0 verify --checkpoint runs/faces --root lfw --pairs pairs.txt', "LFW's ten folds")
      .example(
        '$0 verify --checkpoint runs/faces --root strangers --neighbours 5',
        'how often the five nearest images are of the same person',
      ) as Argv<VerifyArguments>,
  handler: async (args) => (await import('../actions/verify.js')).verify(args),
};
