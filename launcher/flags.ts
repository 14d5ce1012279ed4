import type { Options } from 'yargs';
import { listSettings } from '../src/config/settings.js';

/** Flags that set one setting of the recipe each: their name, the setting, their type. */
const shortcuts = [
  { flag: 'workers', path: 'workers', type: 'number', alias: 'n' },
  { flag: 'epochs', path: 'epochs', type: 'number', alias: 'e' },
  { flag: 'batch-size', path: 'batchSize', type: 'number', alias: 'b' },
  { flag: 'seed', path: 'seed', type: 'number' },
  { flag: 'backend', path: 'backend', type: 'string' },
  { flag: 'bitwise', path: 'distributed.bitwise', type: 'number' },
  { flag: 'wire', path: 'distributed.wire', type: 'string' },
  { flag: 'trace', path: 'trace', type: 'string' },
  { flag: 'check-collectives', path: 'distributed.checkCollectives', type: 'boolean' },
  { flag: 'port', path: 'distributed.port', type: 'number' },
] as const;

/** Flags of every command that reads a recipe; their help comes from the recipe's schema. */
export function recipeFlags(): Record<string, Options> {
  const descriptions = new Map(listSettings().map(({ path, forms }) => [path, forms[0].description]));
  const flags: Record<string, Options> = {
    config: {
      type: 'string',
      alias: 'c',
      requiresArg: true,
      describe: 'recipe: a YAML file, or the name of a shipped one (default: digits)',
    },
    set: {
      type: 'string',
      array: true,
      nargs: 1,
      default: [],
      describe: 'override any setting: --set optimizer.momentum=0.8',
    },
  };
  for (const { flag, path, type, ...rest } of shortcuts) {
    const description = descriptions.get(path);
    flags[flag] = {
      type,
      ...rest,
      requiresArg: type !== 'boolean',
      describe: `${description ? `${description} ` : ''}(setting ${path})`,
    };
  }
  return flags;
}

/** Of the commands that work with a trained model: which one. */
export const checkpointFlag = {
  type: 'string',
  demandOption: true,
  requiresArg: true,
  describe: 'a run folder (its newest checkpoint) or one checkpoint folder',
} as const satisfies Options;

/** Of the commands that work with a trained model: what computes it. */
export function backendFlag() {
  const { describe } = recipeFlags().backend;
  return { type: 'string', requiresArg: true, describe } as const satisfies Options;
}

/** Flags of every command that trains. */
export const runFlags: Record<string, Options> = {
  out: { type: 'string', alias: 'o', requiresArg: true, describe: 'run folder (default: runs/<name>)' },
  resume: { type: 'boolean', default: false, describe: 'go on from the newest checkpoint of the run' },
  'require-gpu': { type: 'boolean', default: false, describe: 'refuse to train without a GPU' },
};

/** The settings that the given flags override, by path. */
export function overrides(args: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const given = shortcuts.filter(({ flag }) => args[flag] !== undefined);
  return Object.fromEntries(given.map(({ flag, path }): [string, unknown] => [path, args[flag]]));
}
