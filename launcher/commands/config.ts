import Table from 'cli-table3';
import { stringify } from 'yaml';
import type { Argv, ArgumentsCamelCase, CommandModule } from 'yargs';
import { recipeFileSchema } from '../../src/config/json-schema.js';
import { loadConfig } from '../../src/config/load.js';
import { importPlugins } from '../../src/config/plugins.js';
import { shippedRecipes } from '../../src/config/recipe.js';
import { listSettings } from '../../src/config/settings.js';
import { UserError } from '../../src/util/errors.js';
import { nearest } from '../../src/util/nearest.js';
import { describeSettings } from '../settings-table.js';
import { summaries } from '../summaries.js';

interface ShowArguments {
  recipe?: string;
  set: string[];
  json: boolean;
}

interface SettingsArguments {
  section?: string;
  config?: string;
  json: boolean;
}

const json = { type: 'boolean', default: false, describe: 'print JSON, and nothing else' } as const;

const recipe = {
  type: 'string',
  alias: 'c',
  requiresArg: true,
  describe: 'a recipe, whose plug-ins are imported first: their settings are then among the others',
} as const;

export const configCommand: CommandModule<object, object> = {
  command: 'config',
  describe: summaries.config,
  builder: (yargs) =>
    yargs
      .command({
        command: 'list',
        describe: 'the recipes that ship with pod-dist',
        builder: (listing) => listing.option('json', json) as Argv<{ json: boolean }>,
        handler: list,
      })
      .command({
        command: 'settings [section]',
        describe: 'what a recipe may say: each setting, its values, its default',
        builder: (asking) =>
          asking
            .positional('section', { type: 'string', describe: 'only these, such as loss or data.augment' })
            .option('config', recipe)
            .option('json', json)
            .example('$0 config settings loss', 'the losses and what each may be given')
            .example(
              '$0 config settings distributed.wire',
              'one setting',
            ) as unknown as Argv<SettingsArguments>,
        handler: settings,
      })
      .command({
        command: 'show [recipe]',
        describe: 'check a recipe, and print it with what it extends and all defaults',
        builder: (showing) =>
          showing
            .positional('recipe', {
              type: 'string',
              describe: 'a YAML file, or the name of a shipped recipe (default: digits)',
            })
            .option('set', {
              type: 'string',
              array: true,
              nargs: 1,
              default: [],
              describe: 'override any setting: --set optimizer.momentum=0.8',
            })
            .option('json', json)
            .example('$0 config show faces.yaml', 'what a recipe of your own comes to')
            .example(
              '$0 config show paper-cifar10 > my.yaml',
              'a recipe to change',
            ) as unknown as Argv<ShowArguments>,
        handler: show,
      })
      .command({
        command: 'schema',
        describe: 'a JSON Schema of recipes, for editors that complete and check YAML',
        builder: (writing) =>
          writing
            .option('config', recipe)
            .example('$0 config schema > recipe.schema.json', 'keep it in a file') as Argv<{
            config?: string;
          }>,
        handler: async ({ config }) => {
          await importPluginsOf(config);
          print(JSON.stringify(recipeFileSchema(), null, 2));
        },
      })
      .demandCommand(1, 'give list, settings, show or schema'),
  handler: () => {},
};

function list({ json }: ArgumentsCamelCase<{ json: boolean }>): void {
  const recipes = shippedRecipes().map((name) => {
    const { data, model, loss, epochs, batchSize } = loadConfig({ file: name });
    return { name, data: data.name, model: model.name, dim: model.dim, loss: loss.name, epochs, batchSize };
  });
  if (json) return print(JSON.stringify(recipes));
  const table = new Table({
    head: ['recipe', 'data set', 'model', 'd', 'loss', 'epochs', 'batch'],
    style: { head: [], border: [] },
  });
  for (const recipe of recipes) table.push(Object.values(recipe));
  print(table.toString());
}

async function settings({ section, config, json }: ArgumentsCamelCase<SettingsArguments>): Promise<void> {
  await importPluginsOf(config);
  const all = listSettings();
  const wanted = all.filter(
    ({ path }) => section === undefined || path === section || path.startsWith(`${section}.`),
  );
  if (section !== undefined && wanted.length === 0) throw unknownSection(section, all);
  print(
    json ? JSON.stringify(wanted) : describeSettings(wanted, Math.min(160, process.stdout.columns ?? 120)),
  );
}

function unknownSection(section: string, all: readonly { path: string }[]): UserError {
  const sections = all.flatMap(({ path }) => {
    const parts = path.split('.');
    return parts.map((_, index) => parts.slice(0, index + 1).join('.'));
  });
  const known = [...new Set(sections)];
  const meant = nearest(section, known);
  const top = known.filter((path) => !path.includes('.'));
  const hint = meant === undefined ? `known are ${top.join(', ')}` : `did you mean ${meant}?`;
  return new UserError('CONFIG_INVALID', `there is no setting ${section}: ${hint}`);
}

async function show({ recipe, set, json }: ArgumentsCamelCase<ShowArguments>): Promise<void> {
  await importPlugins({ file: recipe, set });
  const config = loadConfig({ file: recipe, set });
  process.stdout.write(json ? `${JSON.stringify(config)}\n` : stringify(config));
}

async function importPluginsOf(recipe: string | undefined): Promise<void> {
  if (recipe !== undefined) await importPlugins({ file: recipe });
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
