import Table from 'cli-table3';
import { existsSync, readdirSync } from 'node:fs';
import type { Argv, ArgumentsCamelCase, CommandModule } from 'yargs';
import { pixelRulesSchema, type PixelRules } from '../../src/config/schema.js';
import { checkDataset, type CheckOptions, type DataReport } from '../../src/data/check.js';
import { fetchDataset, notOffered, sources, type SourceName } from '../../src/data/fetch/index.js';
import { defaultRoot } from '../../src/data/index.js';
import { PodDistError, UserError } from '../../src/util/errors.js';
import { Progress } from '../../src/console/progress.js';
import { cacheCommand } from './data/cache.js';
import { previewCommand } from './data/preview.js';
import { summaries } from '../summaries.js';

const standard = pixelRulesSchema.parse({});

interface FetchArguments {
  name: string;
  dir?: string;
  url?: string;
  skipChecksum: boolean;
  json: boolean;
}

interface CheckArguments {
  dir: string;
  testSplit?: string;
  classKey?: string;
  maxMegapixels: number;
  orientation: PixelRules['orientation'];
  json: boolean;
}

const json = {
  type: 'boolean',
  default: false,
  describe: 'print the result as JSON, and nothing else',
} as const;

export const dataCommand: CommandModule<object, object> = {
  command: 'data',
  describe: summaries.data,
  builder: (yargs) =>
    yargs
      .command({
        command: 'fetch <name>',
        describe: 'download a data set from its official address, going on where it was interrupted',
        builder: (fetching) =>
          fetching
            .positional('name', {
              type: 'string',
              demandOption: true,
              describe: `one of ${Object.keys(sources).join(', ')}`,
            })
            .option('dir', {
              type: 'string',
              requiresArg: true,
              describe: 'its folder (default: data/<name>)',
            })
            .option('url', {
              type: 'string',
              requiresArg: true,
              describe: "a mirror's folder, in place of the official address",
            })
            .option('skip-checksum', {
              type: 'boolean',
              default: false,
              describe: 'take what a mirror gives over https, even if it is not the published file',
            })
            .option('json', json)
            .example('$0 data fetch cifar10', 'into data/cifar10') as unknown as Argv<FetchArguments>,
        handler: runFetch,
      })
      .command({
        command: 'check <dir>',
        describe: 'read every image of a data set once; exit code 1 where something is broken',
        builder: (checking) =>
          checking
            .positional('dir', { type: 'string', demandOption: true, describe: 'folder of the data set' })
            .option('test-split', {
              type: 'string',
              requiresArg: true,
              describe: 'folder of the test images of an image folder, as the setting data.testSplit',
            })
            .option('class-key', {
              type: 'string',
              requiresArg: true,
              describe: 'the class is this entry of .json in shards, as the setting data.classKey',
            })
            .option('max-megapixels', {
              type: 'number',
              requiresArg: true,
              default: standard.maxMegapixels,
              describe: 'larger images are broken, as the setting data.maxMegapixels',
            })
            .option('orientation', {
              choices: ['apply', 'ignore'] as const,
              default: standard.orientation,
              describe: 'sizes with or without the EXIF orientation, as the setting data.orientation',
            })
            .option('json', json)
            .example(
              '$0 data check data/cifar10',
              'counts, sizes, classes, broken files',
            ) as unknown as Argv<CheckArguments>,
        handler: runCheck,
      })
      .command(cacheCommand)
      .command(previewCommand)
      .demandCommand(1, 'give fetch, check, cache or preview'),
  handler: () => {},
};

async function runFetch(args: ArgumentsCamelCase<FetchArguments>): Promise<void> {
  const { name, url, skipChecksum } = args;
  if (!Object.hasOwn(sources, name)) {
    throw new UserError(
      'DATA_NOT_OFFERED',
      notOffered[name] ?? `there is no data set ${name}: choose from ${Object.keys(sources).join(', ')}`,
    );
  }
  const dir = args.dir ?? defaultRoot(name);
  if (url !== undefined && !URL.canParse(url)) {
    throw new UserError(
      'USAGE',
      `--url ${url}: give the whole address of a folder, such as https://host/data/`,
    );
  }
  const say = (line: string) => void (args.json ? process.stderr : process.stdout).write(`${line}\n`);
  const started = performance.now();
  if (existsSync(dir) && readdirSync(dir).length > 0) {
    say(`${dir} already holds files; reading them through`);
  } else {
    const progress = new Progress('MB', 1e6);
    try {
      await fetchDataset(sources[name as SourceName], {
        dir,
        url,
        skipChecksum,
        onStep: (line) => progress.line(line),
        onRetry: (reason) => progress.line(`${reason}; trying again`),
        onProgress: (received, total) => progress.update(received, total),
      });
    } finally {
      progress.close();
    }
  }
  const report = await readThrough(dir);
  const problem = describeBroken(dir, report);
  if (problem !== undefined) throw new PodDistError('DATA_BROKEN', problem);
  const seconds = (performance.now() - started) / 1000;
  if (args.json) process.stdout.write(`${JSON.stringify({ name, dir, ...summary(report), seconds })}\n`);
  else say(`${describe(dir, report)}\n${name} is in ${dir} after ${seconds.toFixed(1)} s`);
}

async function runCheck(args: ArgumentsCamelCase<CheckArguments>): Promise<void> {
  const { dir, json, testSplit, classKey, maxMegapixels, orientation } = args;
  if (!(maxMegapixels > 0)) throw new UserError('USAGE', '--max-megapixels takes a number above 0');
  const report = await readThrough(dir, { testSplit, classKey, rules: { maxMegapixels, orientation } });
  process.stdout.write(
    json ? `${JSON.stringify({ dir, ...summary(report) })}\n` : `${describe(dir, report)}\n`,
  );
  const problem = describeBroken(dir, report);
  if (problem === undefined) return;
  process.stderr.write(`pod-dist: ${problem}\n`);
  process.exitCode = 1;
}

async function readThrough(dir: string, options: CheckOptions = {}): Promise<DataReport> {
  const progress = new Progress('files', 1);
  try {
    return await checkDataset(dir, {
      ...options,
      onProgress: (done, total) => progress.update(done, total),
      notify: (line) => progress.line(line),
    });
  } finally {
    progress.close();
  }
}

/** Describes the first broken file, in one line; undefined where none is broken. */
function describeBroken(dir: string, { broken }: DataReport): string | undefined {
  const [first] = broken;
  if (first === undefined) return undefined;
  const rest = broken.length > 1 ? `, and ${broken.length - 1} more` : '';
  return `${dir} is broken: ${first.problem}${rest}`;
}

function summary({ format, classNames, splits, broken, warnings }: DataReport) {
  return { format, classes: classNames.length, classNames, splits, broken, warnings };
}

function describe(dir: string, { format, classNames, splits, broken, warnings }: DataReport): string {
  const table = new Table({
    head: ['split', 'images', 'classes', 'images a class', 'sizes'],
    style: { head: [], border: [] },
  });
  for (const [split, { images, perClass, sizes }] of Object.entries(splits)) {
    const present = perClass.filter((count) => count > 0);
    const fewest = present.reduce((least, count) => Math.min(least, count), Infinity);
    const most = present.reduce((largest, count) => Math.max(largest, count), 0);
    const range = present.length > 0 ? `${fewest} to ${most}` : '-';
    table.push([split, images, present.length, range, describeSizes(sizes)]);
  }
  const lines = [`${dir}: ${format}, ${classNames.length} classes`, table.toString()];
  for (const warning of warnings) lines.push(`warning: ${warning}`);
  for (const { problem } of broken.slice(0, shown)) lines.push(`broken: ${problem}`);
  if (broken.length > shown) lines.push(`broken: ${broken.length - shown} more (all of them: --json)`);
  return lines.join('\n');
}

/** Broken files and sizes that are listed one by one. */
const shown = 20;

function describeSizes(sizes: Record<string, number>): string {
  const entries = Object.entries(sizes).sort(([, a], [, b]) => b - a);
  if (entries.length === 0) return '-';
  const rest = entries.length > 3 ? `, ${entries.length - 3} more` : '';
  return (
    entries
      .slice(0, 3)
      .map(([size, count]) => `${size} (${count})`)
      .join(', ') + rest
  );
}
