import Table from 'cli-table3';
import type { Argv, ArgumentsCamelCase, CommandModule } from 'yargs';
import {
  clearPacks,
  defaultPackFolder,
  listPacks,
  type StoredPack,
} from '../../../src/data/pixels/pack-folder.js';
import { UserError } from '../../../src/util/errors.js';

interface CacheArguments {
  action: string;
  folder?: string;
  json: boolean;
}

const actions = ['show', 'clear'] as const;

export const cacheCommand: CommandModule<object, CacheArguments> = {
  command: 'cache [action]',
  describe: 'show the decoded pixels that are kept on disk for later runs, or clear them',
  builder: (yargs) =>
    yargs
      .positional('action', { choices: actions, default: 'show' })
      .option('folder', {
        type: 'string',
        requiresArg: true,
        describe: 'where they are, as data.cache.folder names it (default: ~/.cache/pod-dist/pixels)',
      })
      .option('json', {
        type: 'boolean',
        default: false,
        describe: 'print the result as JSON, and nothing else',
      })
      .example('$0 data cache', 'data sets, images, megabytes, last use')
      .example('$0 data cache clear', 'remove them all') as unknown as Argv<CacheArguments>,
  handler: manageCache,
};

async function manageCache({
  action,
  folder: given,
  json,
}: ArgumentsCamelCase<CacheArguments>): Promise<void> {
  if (given === '') throw new UserError('USAGE', '--folder: give the path of a folder');
  const folder = given ?? defaultPackFolder();
  if (action === 'clear') {
    const { packs, bytes } = await clearPacks(folder);
    const line = `${folder}: ${packs} data set${packs === 1 ? '' : 's'} removed, ${megabytes(bytes)} MB`;
    process.stdout.write(json ? `${JSON.stringify({ folder, removed: packs, bytes })}\n` : `${line}\n`);
    return;
  }
  const packs = await listPacks(folder);
  const bytes = packs.reduce((sum, pack) => sum + pack.bytes, 0);
  if (json) process.stdout.write(`${JSON.stringify({ folder, bytes, packs })}\n`);
  else if (packs.length === 0) process.stdout.write(`${folder}: no pixels are kept there\n`);
  else process.stdout.write(`${toTable(packs)}\n${folder}: ${megabytes(bytes)} MB\n`);
}

function toTable(packs: readonly StoredPack[]): string {
  const table = new Table({
    head: ['data set', 'images', 'pixels', 'MB', 'last used'],
    colAligns: ['left', 'right', 'left', 'right', 'left'],
    style: { head: [], border: [] },
  });
  for (const { description, bytes, usedAt } of packs) {
    const { root = 'unknown', images = '?', size = '?', channels = '?' } = description ?? {};
    const used = usedAt.toISOString().slice(0, 16).replace('T', ' ');
    table.push([root, images, `${size}x${size}x${channels}`, megabytes(bytes), used]);
  }
  return table.toString();
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
