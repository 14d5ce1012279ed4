import type { ArgumentsCamelCase } from 'yargs';
import { initBackend } from '../../src/backend/index.js';
import {
  checkExportFolder,
  exportCheckpoint,
  sizeOf,
  writeExportFolder,
  type ExportFormat,
} from '../../src/export/index.js';
import { openCheckpoint } from '../../src/checkpoint/checkpoints.js';
import { allowedModule, type ModuleArguments } from '../flags.js';
import { Progress } from '../../src/console/progress.js';

export interface ExportArguments extends ModuleArguments {
  checkpoint: string;
  format: ExportFormat;
  out: string;
  force: boolean;
  json: boolean;
}

export async function exportModel(args: ArgumentsCamelCase<ExportArguments>): Promise<void> {
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
