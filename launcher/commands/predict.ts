import type { Argv, CommandModule } from 'yargs';
import { backendFlag, checkpointFlag, moduleFlags, weightsFlag } from '../flags.js';
import { summaries } from '../summaries.js';
import type { PredictArguments } from '../actions/predict.js';

export const predictCommand: CommandModule<object, PredictArguments> = {
  command: 'predict <images..>',
  describe: summaries.predict,
  builder: (yargs) =>
    yargs
      .positional('images', {
        type: 'string',
        array: true,
        demandOption: true,
        describe: 'image files, folders of .jpg, .png or .webp images, or - for an image on standard input',
      })
      .option('checkpoint', checkpointFlag)
      .options(moduleFlags)
      .option('weights', weightsFlag)
      .option('top', { type: 'number', default: 5, requiresArg: true, describe: 'classes an image' })
      .option('threshold', {
        type: 'number',
        requiresArg: true,
        describe: 'images whose best cosine (softmax: probability) is smaller belong to no known class',
      })
      .option('mirror', {
        type: 'boolean',
        describe: "average each image with its mirror image; default: as the run's evaluation",
      })
      .option('backend', backendFlag())
      .option('json', { type: 'boolean', default: false, describe: 'print an object an image, one a line' })
      .example('$0 predict --checkpoint runs/faces photo.jpg', 'the five best classes, with cosines')
      .example('curl -sSL URL | $0 predict --checkpoint runs/faces -', 'an image of an address')
      .example(
        '$0 predict --checkpoint runs/faces --threshold 0.5 --json photos/',
        'every image below a folder; "class" is null for unknown faces',
      )
      .epilogue(
        'Images get the size, channels and normalisation of the run. Digits are white on black, as in MNIST.',
      ) as Argv<PredictArguments>,
  handler: async (args) => (await import('../actions/predict.js')).predict(args),
};
