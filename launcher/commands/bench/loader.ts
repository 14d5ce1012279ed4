import Table from 'cli-table3';
import { sync as writeFileAtomicSync } from 'write-file-atomic';
import type { ArgumentsCamelCase, Argv, CommandModule } from 'yargs';
import { drawBars } from '../../../src/bench/bar-chart.js';
import type { LoaderRow } from '../../../src/bench/loader.js';
import { loadConfig } from '../../../src/config/load.js';
import { importPlugins } from '../../../src/config/plugins.js';
import { availableCores } from '../../../src/util/cores.js';
import { UserError } from '../../../src/util/errors.js';
import { requireReplaceable } from '../../../src/util/regular-file.js';
import { devicesOf } from '../../../src/backend/backends.js';
import { overrides, recipeFlags } from '../../flags.js';
import { present } from '../../../src/util/present.js';

interface LoaderArguments {
  config?: string;
  set: string[];
  images: number;
  threads: number;
  train: boolean;
  json: boolean;
  svg?: string;
}

export const loaderCommand: CommandModule<object, LoaderArguments> = {
  command: 'loader',
  describe: 'reading, decoding and augmenting the images of a recipe, with and without its caches',
  builder: (yargs) =>
    (yargs.options(recipeFlags()) as Argv<LoaderArguments>)
      .option('images', {
        type: 'number',
        default: 20_000,
        requiresArg: true,
        describe: 'images a pass, at most',
      })
      .option('threads', {
        type: 'number',
        default: availableCores(),
        requiresArg: true,
        describe: 'loader threads',
      })
      .option('train', {
        type: 'boolean',
        default: false,
        describe: 'also train on them, and say how long steps wait for images',
      })
      .option('json', { type: 'boolean', default: false, describe: 'print one JSON object a row instead' })
      .option('svg', { type: 'string', requiresArg: true, describe: 'draw images a second' })
      .example(
        '$0 bench loader --config cifar10-resnet20 --set data.root=./cifar10 --train',
        'an image folder, and ResNet-20 waiting for it',
      ) as Argv<LoaderArguments>,
  handler: benchLoader,
};

async function benchLoader(args: ArgumentsCamelCase<LoaderArguments>): Promise<void> {
  const { images, threads, train, json, svg } = args;
  if (svg !== undefined) requireReplaceable(svg);
  for (const [flag, value] of Object.entries({ images, threads })) {
    if (!Number.isInteger(value) || value < 1)
      throw new UserError('USAGE', `--${flag}: a whole number of at least 1`);
  }
  const given = { file: args.config, set: args.set, flags: overrides(args) };
  await importPlugins(given);
  const config = loadConfig(given);
  if (train) Object.assign(process.env, await devicesOf(config.backend).alone(availableCores()));
  const notify = (line: string) => void process.stderr.write(`${line}\n`);
  const { benchmarkLoader } = await import('../../../src/bench/loader.js');
  const rows = await benchmarkLoader({ config, threads, images, train, notify });
  if (svg !== undefined) writeFileAtomicSync(svg, draw(rows));
  if (json) for (const row of rows) process.stdout.write(`${JSON.stringify(row)}\n`);
  else process.stdout.write(`${toTable(rows)}\n`);
}

function toTable(rows: readonly LoaderRow[]): string {
  const table = new Table({
    head: ['pass', 'images', 'batch', 'threads', 'pixels', 'images/s', 'waiting', 'first batch'],
    colAligns: ['left', 'right', 'right', 'right', 'left', 'right', 'right', 'right'],
    style: { head: [], border: [] },
  });
  for (const row of rows) {
    const { images, batch, threads, imagesPerSecond, firstBatchSeconds } = row;
    const waiting = row.training ? `${(100 * row.waiting).toFixed(1)} %` : '';
    const first = `${firstBatchSeconds.toFixed(2)} s`;
    const rate = imagesPerSecond.toFixed(0);
    table.push([nameOf(row), images, batch, threads, originOf(row), rate, waiting, first]);
  }
  return table.toString();
}

function nameOf({ pass, training }: LoaderRow): string {
  return training ? `${pass}, training` : pass;
}

/** Origin of the pixels, such as `decoded`, or `12 decoded, 100 disk` where a pass was mixed. */
function originOf({ origins }: LoaderRow): string {
  const parts = Object.entries<number>({ ...origins }).filter(([, count]) => count > 0);
  const [first, second] = parts;
  if (first !== undefined && second === undefined) return first[0];
  return parts.map(([origin, count]) => `${count} ${origin}`).join(', ');
}

function draw(rows: readonly LoaderRow[]): string {
  const { batch, threads } = present(rows[0], 'a row');
  return drawBars({
    title: `Loader, batch ${batch}, ${threads} threads`,
    unit: 'images/s',
    bars: rows.map((row) => ({ name: nameOf(row), value: row.imagesPerSecond })),
  });
}
