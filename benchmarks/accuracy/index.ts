import { writeFileSync } from 'node:fs';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { experiments } from './experiments.js';
import { isCompared, Results } from './results.js';
import { train } from './runs.js';
import { accuracyCurves, differences, lossCurves, table } from './summary.js';

/**
 * Trains an experiment's runs and prints its result table. It may be stopped at any time: finished runs are kept below
 * `--out`, and the next call goes on from there. With `--results FILE` what a table is made of is kept there as well, a
 * line of JSON a run, and what is there already is not trained again.
 *
 *     node dist/benchmarks/accuracy/index.js digits-losses --out runs/accuracy --launch=--backend=wasm
 */
const {
  experiment,
  out,
  results: file,
  launch,
  atOnce,
  onlySummary,
  svg,
} = await yargs(hideBin(process.argv))
  .usage('$0 EXPERIMENT: trains its runs and prints a table')
  .command('$0 <experiment>', false, (command) =>
    command.positional('experiment', { choices: Object.keys(experiments), demandOption: true }),
  )
  .option('out', { type: 'string', default: 'runs/accuracy', describe: 'folder of the runs' })
  .option('results', { type: 'string', describe: 'file of what is kept of each run' })
  .option('launch', {
    type: 'string',
    array: true,
    default: [],
    describe: 'arguments of every pod-dist launch',
  })
  .option('at-once', {
    type: 'number',
    default: 1,
    describe: 'runs at a time, each on its own share of the cores',
  })
  .option('only-summary', { type: 'boolean', default: false, describe: 'train nothing' })
  .option('svg', { type: 'string', describe: 'draw curves: losses of -workers, else test accuracy' })
  .check(
    ({ atOnce: runs }) =>
      (Number.isInteger(runs) && (runs as number) >= 1) || '--at-once must be a whole number of at least 1',
  )
  .strict()
  .parseAsync();
const name = experiment as string;
const about = experiments[name];
const results = new Results({ name, out, file });
if (!onlySummary)
  await train(name, about, results, {
    launch: launch.map(String),
    atOnce,
    notify: (line) => console.error(line),
  });
console.log(table(about, results));
if (isCompared(name)) console.log(`\n${differences(about, results, 30)}`);
if (svg) writeFileSync(svg, (isCompared(name) ? lossCurves : accuracyCurves)(name, about, results));
