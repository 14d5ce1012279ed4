import type { ArgumentsCamelCase } from 'yargs';
import { Progress } from '../../src/console/progress.js';
import { featuresRun } from '../../src/launching/features-run.js';
import type { WeightsChoice } from '../../src/optim/average.js';
import { followSignals } from '../../src/util/signals.js';
import { checkFeaturesFile, filesOf, writeFeatures } from '../features-file.js';
import { allowedModules, type ModuleArguments } from '../flags.js';

export interface FeaturesArguments extends ModuleArguments {
  checkpoint: string;
  weights?: WeightsChoice;
  root?: string;
  out: string;
  workers: number;
  backend?: string;
  set: string[];
}

export async function features(args: ArgumentsCamelCase<FeaturesArguments>): Promise<void> {
  const { checkpoint, weights, root, out, workers, backend, set } = args;
  checkFeaturesFile(out);
  const progress = new Progress('images', 1);
  const hooks = {
    notify: (line: string) => void process.stderr.write(`${line}\n`),
    evaluating: (done: number, images: number) => progress.update(done, images),
    stopping: followSignals,
  };
  const request = { checkpoint, weights, root, workers, backend, set, allowed: allowedModules(args) };
  const found = await featuresRun(request, hooks).finally(() => progress.close());
  writeFeatures(out, found);
  const { names, dim } = found;
  process.stdout.write(`${names.length} features of ${dim} dimensions in ${filesOf(out).join(', ')}\n`);
}
