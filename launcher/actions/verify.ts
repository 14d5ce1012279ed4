import Table from 'cli-table3';
import type { ArgumentsCamelCase } from 'yargs';
import { Progress } from '../../src/console/progress.js';
import { verifyRun, type VerifyResult } from '../../src/launching/verify-run.js';
import { printable } from '../../src/util/printable.js';
import type { WeightsChoice } from '../../src/optim/average.js';
import { followSignals } from '../../src/util/signals.js';
import { allowedModules, type ModuleArguments } from '../flags.js';

export interface VerifyArguments extends ModuleArguments {
  checkpoint: string;
  weights?: WeightsChoice;
  root: string;
  pairs?: string;
  neighbours?: number;
  workers: number;
  backend?: string;
  set: string[];
  json: boolean;
}

export async function verify(args: ArgumentsCamelCase<VerifyArguments>): Promise<void> {
  const { checkpoint, weights, root, pairs, neighbours, workers, backend, set, json } = args;
  const progress = new Progress('images', 1);
  const hooks = {
    notify: (line: string) => void process.stderr.write(`${line}\n`),
    evaluating: (done: number, images: number) => progress.update(done, images),
    stopping: followSignals,
  };
  const request = {
    checkpoint,
    weights,
    root,
    pairs,
    neighbours,
    workers,
    backend,
    set,
    allowed: allowedModules(args),
  };
  const result = await verifyRun(request, hooks).finally(() => progress.close());
  process.stdout.write(`${json ? JSON.stringify(result) : describe(result)}\n`);
}

const compact = { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' };

function describe({ images, dim, verification, neighbours, checkpoint }: VerifyResult): string {
  const table = new Table({ chars: compact, style: { head: [], border: [] } });
  if (verification) {
    const { pairs, same, accuracy, accuracyError, folds, best, auroc, equalErrorRate, tar } = verification;
    table.push(
      ['pairs', `${pairs}, ${same} of them of one class`],
      [`accuracy over ${folds.length} folds`, `${percent(accuracy)} ± ${percent(accuracyError)}`],
      ['best cosine for all of them', `${best.threshold.toFixed(4)} (${percent(best.accuracy)} right)`],
      ['AUROC', auroc?.toFixed(4) ?? '-'],
      ['equal error rate', percent(equalErrorRate)],
    );
    for (const { far, tar: share, threshold } of tar)
      table.push([
        `TAR at FAR ${far.toExponential(0)}`,
        share === null
          ? 'too few pairs'
          : `${percent(share)} (cosine of at least ${(threshold ?? 1).toFixed(4)})`,
      ]);
  }
  if (neighbours) {
    const { count, accuracy, classes } = neighbours;
    table.push([`right by ${count} nearest of ${classes} classes`, percent(accuracy)]);
  }
  return `${printable(checkpoint)}: ${images} images, ${dim} dimensions\n${table.toString()}`;
}

function percent(share: number | null): string {
  return share === null ? '-' : `${(100 * share).toFixed(2)} %`;
}
