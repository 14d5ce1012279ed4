import type { Argv, ArgumentsCamelCase, CommandModule } from 'yargs';
import { initBackend } from '../../src/backend/index.js';
import {
  checkExportFolder,
  exportCheckpoint,
  exportFormats,
  sizeOf,
  writeExportFolder,
  type ExportFormat,
} from '../../src/export/index.js';
import { openCheckpoint } from '../../src/checkpoint/checkpoints.js';
import { allowedModule, checkpointFlag, type ModuleArguments, moduleFlags } from '../flags.js';
import { Progress } from '../../src/console/progress.js';
import { summaries } from '../summaries.js';

interface ExportArguments extends ModuleArguments {
  checkpoint: string;
  format: ExportFormat;
  out: string;
  force: boolean;
  json: boolean;
}

export const exportCommand: CommandModule<object, ExportArguments> = {
  command: 'export',
  describe: summaries.export,
  builder: (yargs) =>
    yargs
      .option('checkpoint', checkpointFlag)
      .options(moduleFlags)
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
  handler: run,
};

async function run(args: ArgumentsCamelCase<ExportArguments>): Promise<void> {
  const { format, out, force, json } = args;
  await checkExportFolder(out, force);
  const notify = (line: string) => process.stderr.write(`${line}\n`);
  const { folder, checkpoint } = await openCheckpoint(args.checkpoint, {
    allow: allowedModule(args),
    notify,
  });
  await initBackend('cpu');
  const files = await exportCheckpoint(checkpoint, format);
  const progress = new Progress('MB', 1e6);
  try {
    await writeExportFolder(out, files, (done, total) => progress.update(done, total));
  } finally {
    progress.close();
  }
  const written = files.map((file) => ({ name: file.name, bytes: sizeOf(file) }));
  if (json) {
    const { epochs, classNames } = checkpoint;
    const summary = { format, out, checkpoint: folder, epochs, classes: classNames.length, files: written };
    process.stdout.write(`${JSON.stringify(summary)}\n`);
    return;
  }
  const list = written.map(({ name, bytes }) => `  ${name} (${bytes.toLocaleString('en')} bytes)\n`).join('');
  process.stdout.write(`${folder} as ${format} in ${out}:\n${list}`);
}
