import type { Argv, CommandModule } from 'yargs';
import { summaries } from '../summaries.js';
import type { InitArguments } from '../actions/init.js';

export const initCommand: CommandModule<object, InitArguments> = {
  command: 'init <folder>',
  describe: summaries.init,
  builder: (yargs) =>
    yargs
      .positional('folder', {
        type: 'string',
        demandOption: true,
        describe:
          'train/<class>/ and test/<class>/ (or val/<class>/), or <class>/ alone, of .jpg, .png or .webp',
      })
      .option('out', {
        type: 'string',
        alias: 'o',
        requiresArg: true,
        default: 'recipe.yaml',
        describe: 'the recipe; a file that is there is left as it is',
      })
      .option('sample', {
        type: 'number',
        requiresArg: true,
        default: 1000,
        describe: 'training images that are read, at most, for sizes, colours, mean and deviation',
      })
      .option('json', {
        type: 'boolean',
        default: false,
        describe: 'print what was found as JSON, and nothing else',
      })
      .example(
        '$0 init faces --out faces.yaml',
        'then: $0 launch --config faces.yaml',
      ) as unknown as Argv<InitArguments>,
  handler: async (args) => (await import('../actions/init.js')).init(args),
};
