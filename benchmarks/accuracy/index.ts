import { writeFileSync } from 'node:fs';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { experiments } from './experiments.js';
import { train } from './runs.js';
import { accuracyCurves, differences, lossCurves, table } from './summary.js';

/**
 * Trains an experiment's runs and prints its result table. It may be stopped at any time: finished runs are kept below
 * `--out`, and the next call goes on from there.
 *
 *     node dist/benchmarks/accuracy/index.js digits-losses --out runs/accuracy --launch=--backend=wasm
 */
const { experiment, out, launch, onlySummary, svg } = await yargs(hideBin(process.argv))
  .usage('$0 EXPERIMENT: trains its runs and prints a table')
  .command('$0 <experiment>', false, (command) =>
    command.positional('experiment', { choices: Object.keys(experiments), demandOption: true }),
  )
  .option('out', { type: 'string', default: 'runs/accuracy', describe: 'folder of the runs' })
  .option('launch', {
    type: 'string',
    array: true,
    default: [],
    describe: 'arguments of every pod-dist launch',
  })
  .option('only-summary', { type: 'boolean', default: false, describe: 'train nothing' })
  .option('svg', { type: 'string', describe: 'draw curves: losses of -workers, else test accuracy' })
  .strict()
  .parseAsync();
const name = experiment as string;
if (!onlySummary) {
  await train(name, experiments[name], { out, launch: launch.map(String) }, (line) => console.error(line));
}
const compared = name.endsWith('-workers');
console.log(table(name, experiments[name], out));
if (compared) console.log(`\n${differences(name, experiments[name], out, 30)}`);
if (svg) {
  const curves = compared ? lossCurves : accuracyCurves;
  writeFileSync(svg, curves(name, experiments[name], out));
}
