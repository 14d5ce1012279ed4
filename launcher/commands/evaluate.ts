import type { Argv, CommandModule } from 'yargs';
import { backendFlag, checkpointFlag, moduleFlags, setFlag, weightsFlag, workersFlag } from '../flags.js';
import { summaries } from '../summaries.js';
import type { EvaluateArguments } from '../actions/evaluate.js';

export const evaluateCommand: CommandModule<object, EvaluateArguments> = {
  command: 'evaluate',
  describe: summaries.evaluate,
  builder: (yargs) =>
    yargs
      .option('checkpoint', checkpointFlag)
      .options(moduleFlags)
      .option('weights', weightsFlag)
      .option('workers', workersFlag)
      .option('backend', backendFlag())
      .option('root', {
        type: 'string',
        requiresArg: true,
        describe:
          'folder of other images, DIR/<class> or DIR/test/<class>: classes are matched by name, others left out',
      })
      .option('set', setFlag)
      .option('unknown', {
        type: 'string',
        requiresArg: true,
        describe: 'folder of images of classes that were not trained: how well a threshold rejects them',
      })
      .option('out', {
        type: 'string',
        alias: 'o',
        requiresArg: true,
        describe:
          'write the evaluation to this JSON file, such as the evaluation.json of the run, for pod-dist report',
      })
      .option('json', {
        type: 'boolean',
        default: false,
        describe: 'print the evaluation as JSON, and nothing else',
      })
      .example('$0 evaluate --checkpoint runs/digits', 'the newest checkpoint of a run')
      .example(
        '$0 evaluate --checkpoint runs/digits/checkpoints/epoch-0010 -n 4 --json',
        'one checkpoint, with four workers',
      )
      .example('$0 evaluate --checkpoint runs/faces --root more-faces', 'other images of the same people')
      .example(
        '$0 evaluate --checkpoint runs/faces --unknown strangers --out runs/faces/evaluation.json',
        'how well strangers are rejected, kept for the report of the run',
      ) as Argv<EvaluateArguments>,
  handler: async (args) => (await import('../actions/evaluate.js')).evaluate(args),
};
