import type { ArgumentsCamelCase } from 'yargs';
import { Progress } from '../../src/console/progress.js';
import { evaluateRun } from '../../src/launching/evaluate-run.js';
import type { WeightsChoice } from '../../src/optim/average.js';
import { followSignals } from '../../src/util/signals.js';
import { describeEvaluation } from '../evaluation-table.js';
import { allowedModules, type ModuleArguments } from '../flags.js';

export interface EvaluateArguments extends ModuleArguments {
  checkpoint: string;
  weights?: WeightsChoice;
  workers: number;
  backend?: string;
  set: string[];
  unknown?: string;
  root?: string;
  out?: string;
  json: boolean;
}

export async function evaluate(args: ArgumentsCamelCase<EvaluateArguments>): Promise<void> {
  const { checkpoint, weights, workers, backend, set, unknown, root, out, json } = args;
  const request = {
    checkpoint,
    weights,
    workers,
    backend,
    set,
    unknown,
    root,
    out,
    allowed: allowedModules(args),
  };
  const progress = new Progress('test images', 1);
  const hooks = {
    notify: (line: string) => void process.stderr.write(`${line}\n`),
    evaluating: (done: number, images: number) => progress.update(done, images),
    stopping: followSignals,
  };
  const result = await evaluateRun(request, hooks).finally(() => progress.close());
  const { evaluation } = result;
  const text = json ? JSON.stringify(evaluation) : describeEvaluation(evaluation, result.checkpoint);
  process.stdout.write(`${text}\n`);
}
