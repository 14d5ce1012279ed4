import type { Argv, CommandModule } from 'yargs';
import { exportFormats } from '../../src/export/files.js';
import { checkpointFlag, moduleFlags, weightsFlag } from '../flags.js';
import { summaries } from '../summaries.js';
import type { ExportArguments } from '../actions/export.js';

export const exportCommand: CommandModule<object, ExportArguments> = {
  command: 'export',
  describe: summaries.export,
  builder: (yargs) =>
    yargs
      .option('checkpoint', checkpointFlag)
      .options(moduleFlags)
      .option('weights', weightsFlag)
      .option('format', {
        choices: exportFormats,
        demandOption: true,
        requiresArg: true,
        describe:
          'tfjs: model.json for web pages; safetensors: weights, and a Python module for PyTorch; onnx: model.onnx. ' +
          'Each with a classifier.json of class names and preprocessing',
      })
      .option('out', {
        type: 'string',
        alias: 'o',
        demandOption: true,
        requiresArg: true,
        describe: 'the folder to write, whole or not at all',
      })
      .option('force', { type: 'boolean', default: false, describe: 'replace an earlier export' })
      .option('json', { type: 'boolean', default: false, describe: 'print what was written as JSON' })
      .example(
        '$0 export --checkpoint runs/faces --format tfjs --out public/faces',
        'model.json for tf.loadLayersModel in a page',
      )
      .example(
        '$0 export --checkpoint runs/faces --format safetensors --out faces_torch',
        'then in Python: from faces_torch.classifier import load; model = load("faces_torch")',
      )
      .example(
        '$0 export --checkpoint runs/faces --format onnx --out faces-onnx --json',
        'model.onnx, and what was written as JSON',
      ) as Argv<ExportArguments>,
  handler: async (args) => (await import('../actions/export.js')).exportModel(args),
};
