import Table from 'cli-table3';
import { sync as writeFileAtomicSync } from 'write-file-atomic';
import type { ArgumentsCamelCase } from 'yargs';
import { render } from '../../src/bench/plot.js';
import { goOnWithoutConsole } from '../../src/console/console.js';
import { Progress } from '../../src/console/progress.js';
import { refuseTask } from '../../src/job/join/environment.js';
import { findRate, type RateSearch } from '../../src/launching/find-rate.js';
import { requireReplaceable } from '../../src/util/regular-file.js';
import { followSignals } from '../../src/util/signals.js';
import { allowedModules, type ModuleArguments, overrides } from '../flags.js';

export interface FindRateArguments extends ModuleArguments {
  gpus?: string;
  config?: string;
  set: string[];
  from: number;
  to: number;
  steps: number;
  svg?: string;
  json: boolean;
}

export async function lrFind(args: ArgumentsCamelCase<FindRateArguments>): Promise<void> {
  refuseTask(process.env);
  const { config: file, set, gpus, from, to, steps, svg, json } = args;
  if (svg !== undefined) requireReplaceable(svg);
  const progress = new Progress('steps', 1);
  let made = 0;
  const hooks = {
    notify: (line: string) => void process.stderr.write(`${line}\n`),
    step: () => progress.update(++made, steps),
    stopping: followSignals,
  };
  goOnWithoutConsole();
  const request = { file, set, flags: overrides(args), gpus, from, to, steps, allowed: allowedModules(args) };
  const found = await findRate(request, hooks).finally(() => progress.close());
  if (svg !== undefined) writeFileAtomicSync(svg, draw(found));
  process.stdout.write(`${json ? JSON.stringify(found) : describe(found)}\n`);
}

/** Rows of the table, about. */
const rows = 16;

function describe({ workers, batchSize, steepest, smallest, diverged, points }: RateSearch): string {
  const table = new Table({ head: ['rate', 'loss', 'smoothed'], style: { head: [], border: [] } });
  const every = Math.max(1, Math.floor(points.length / rows));
  points.forEach(({ rate, loss, smoothed }, index) => {
    if (index % every === 0 || index === points.length - 1)
      table.push([shown(rate), loss.toFixed(4), smoothed.toFixed(4)]);
  });
  const end = diverged ? ', then it diverges' : '; it has not diverged: try a larger --to';
  const advice =
    steepest === undefined
      ? 'the loss falls at no rate: try a smaller --from, or more --steps'
      : `learningRate.rate: ${shown(steepest)}, where the loss falls fastest; it is smallest at ${shown(smallest)}${end}`;
  return `${table.toString()}\n${batchSize} images a step, workers: ${workers}\n${advice}`;
}

function shown(rate: number): string {
  return Number(rate.toPrecision(2)).toString();
}

function draw({ points }: RateSearch): string {
  const line = (name: string, of: 'loss' | 'smoothed') => ({
    name,
    points: points.map((point): [number, number] => [point.rate, point[of]]),
  });
  return render({
    title: 'Loss over the learning rate',
    x: { name: 'learning rate', log: true },
    y: { name: 'loss', log: false },
    lines: [line('loss', 'loss'), line('smoothed', 'smoothed')],
  });
}
