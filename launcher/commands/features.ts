import type { Argv, CommandModule } from 'yargs';
import type { FeaturesArguments } from '../actions/features.js';
import { backendFlag, checkpointFlag, moduleFlags, setFlag, weightsFlag, workersFlag } from '../flags.js';
import { summaries } from '../summaries.js';

export const featuresCommand: CommandModule<object, FeaturesArguments> = {
  command: 'features',
  describe: summaries.features,
  builder: (yargs) =>
    yargs
      .option('checkpoint', checkpointFlag)
      .options(moduleFlags)
      .option('weights', weightsFlag)
      .option('root', {
        type: 'string',
        requiresArg: true,
        describe: "folder of images of any classes, in folders or not; default: the run's test images",
      })
      .option('out', {
        type: 'string',
        alias: 'o',
        demandOption: true,
        requiresArg: true,
        describe:
          'file to write: .npy (with .labels.npy, .norms.npy and .names.json beside it) or .safetensors',
      })
      .option('workers', workersFlag)
      .option('backend', backendFlag())
      .option('set', setFlag)
      .example('$0 features --checkpoint runs/faces --root strangers --out strangers.npy', 'for NumPy')
      .example(
        '$0 features --checkpoint runs/faces --out test.safetensors -n 4',
        'of the test images, computed by four workers',
      ) as Argv<FeaturesArguments>,
  handler: async (args) => (await import('../actions/features.js')).features(args),
};
