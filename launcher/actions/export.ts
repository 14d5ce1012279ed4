import type { ArgumentsCamelCase } from 'yargs';
import { Progress } from '../../src/console/progress.js';
import type { ExportFormat } from '../../src/export/index.js';
import { writeModel } from '../../src/launching/export-model.js';
import type { WeightsChoice } from '../../src/optim/average.js';
import { allowedModules, type ModuleArguments } from '../flags.js';

export interface ExportArguments extends ModuleArguments {
  checkpoint: string;
  weights?: WeightsChoice;
  format: ExportFormat;
  out: string;
  force: boolean;
  json: boolean;
}

export async function exportModel(args: ArgumentsCamelCase<ExportArguments>): Promise<void> {
  const { checkpoint, weights, format, out, force, json } = args;
  const progress = new Progress('MB', 1e6);
  const hooks = {
    notify: (line: string) => void process.stderr.write(`${line}\n`),
    writing: (done: number, total: number) => progress.update(done, total),
  };
  const request = { checkpoint, weights, format, out, force, allowed: allowedModules(args) };
  const written = await writeModel(request, hooks).finally(() => progress.close());
  if (json) {
    process.stdout.write(`${JSON.stringify(written)}\n`);
    return;
  }
  const list = written.files
    .map(({ name, bytes }) => `  ${name} (${bytes.toLocaleString('en')} bytes)\n`)
    .join('');
  process.stdout.write(`${written.checkpoint} as ${format} in ${out}:\n${list}`);
}
