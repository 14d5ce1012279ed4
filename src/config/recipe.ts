import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { messageOf, UserError } from '../errors.js';
import { nearest } from '../nearest.js';
import { parseYaml } from './yaml.js';

type Settings = Record<string, unknown>;

/** Recipes that ship with pod-dist. */
const shippedFolder = new URL('../../../configs/', import.meta.url);

/** Keys that say what a section is about; a section about something else replaces the one it extends. */
const subjects = ['name', 'schedule'];

/** Names of the recipes that ship with pod-dist. */
export function shippedRecipes(): string[] {
  return readdirSync(shippedFolder)
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => file.replace(/\.yaml$/, ''))
    .sort();
}

/**
 * The file of a recipe: a path, from `folder` on where it is relative, or the name of a shipped recipe.
 *
 * @throws UserError `CONFIG_NOT_FOUND`
 */
export function findRecipe(file: string, folder = '.'): string {
  const path = resolve(folder, file);
  if (existsSync(path)) return folder === '.' ? file : path;
  if (/^[\w.-]+$/.test(file)) {
    const shipped = fileURLToPath(new URL(`${file.replace(/\.yaml$/, '')}.yaml`, shippedFolder));
    if (existsSync(shipped)) return shipped;
  }
  const shipped = shippedRecipes();
  const meant = nearest(file, shipped);
  const hint = meant === undefined ? '' : `did you mean ${meant}? `;
  throw new UserError(
    'CONFIG_NOT_FOUND',
    `no configuration file ${file}: ${hint}give a YAML file or the name of a shipped recipe (${shipped.join(', ')})`,
  );
}

/**
 * Reads a recipe over the one that its key `extends` names, if it has one: a path from the recipe's own folder on, or
 * a shipped recipe. Sections are merged key by key; lists and single values, and sections about something else (`name`
 * or `schedule` differ), replace what they extend. `origin` names the files, for errors.
 *
 * @throws UserError `CONFIG_NOT_FOUND` or `CONFIG_INVALID`, naming the file
 */
export function readRecipe(
  path: string,
  extending: readonly string[] = [],
): { settings: Settings; origin: string } {
  const chain = [...extending, path];
  if (extending.some((earlier) => resolve(earlier) === resolve(path))) {
    throw new UserError(
      'CONFIG_INVALID',
      `${chain.join(' extends ')}: recipes extend one another in a circle`,
    );
  }
  const { extends: parent, ...own } = readSettings(path);
  placeModule(own, dirname(path));
  if (parent === undefined) return { settings: own, origin: path };
  if (typeof parent !== 'string') {
    throw new UserError(
      'CONFIG_INVALID',
      `${path}: extends is the path of one recipe, or a shipped one's name`,
    );
  }
  const base = readRecipe(findRecipe(parent, dirname(path)), chain);
  return { settings: merge(base.settings, own), origin: `${path} (extends ${base.origin})` };
}

function readSettings(path: string): Settings {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new UserError('CONFIG_NOT_FOUND', `cannot read ${path}: ${messageOf(error)}`);
  }
  const contents = parseYaml(text, `${path} is not YAML`) ?? {};
  if (!isSection(contents))
    throw new UserError('CONFIG_INVALID', `${path}: a recipe is a list of "key: value" lines`);
  return contents;
}

/**
 * Gives a module of the user's its absolute path, since workers read the recipe in another folder: from that of the
 * recipe or call which names it.
 */
export function placeModule({ model }: Settings, folder: string): void {
  if (isSection(model) && typeof model.path === 'string') model.path = resolve(folder, model.path);
}

function merge(base: Settings, over: Settings): Settings {
  const merged = Object.entries(over).map(([key, value]): [string, unknown] => {
    const below = Object.hasOwn(base, key) ? base[key] : undefined;
    const within = isSection(below) && isSection(value) && sameSubject(below, value);
    return [key, within ? merge(below, value) : value];
  });
  return Object.fromEntries([...Object.entries(base), ...merged]);
}

function sameSubject(base: Settings, over: Settings): boolean {
  return subjects.every((key) => over[key] === undefined || over[key] === base[key]);
}

function isSection(value: unknown): value is Settings {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
