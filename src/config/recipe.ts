import { readdirSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { codeOf, messageOf, UserError } from '../util/errors.js';
import { nearest } from '../util/nearest.js';
import { readRegularText } from '../util/regular-file.js';
import { importedRecipe, isCode } from './code-recipe.js';
import { isSection, mergeLayers, type Layer, type Settings } from './layer.js';
import { parseYaml, type YamlText } from './yaml.js';

/** Bytes of a recipe, at most. */
export const recipeBytes = 256_000;
/** Recipes that extend one another, at most. */
const mostExtended = 20;

/** Recipes that ship with pod-dist. */
const shippedFolder = new URL('../../../configs/', import.meta.url);

/** Names of the recipes that ship with pod-dist. */
export function shippedRecipes(): string[] {
  return readdirSync(shippedFolder)
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => file.replace(/\.yaml$/, ''))
    .sort();
}

/**
 * The file of a recipe: a path, from `folder` on where it is relative, or the name of a shipped recipe. A folder that
 * has a shipped recipe's name does not hide it.
 *
 * @throws UserError `CONFIG_NOT_FOUND`
 */
export function findRecipe(file: string, folder = '.'): string {
  const path = resolve(folder, file);
  const shipped = shippedFile(file);
  const there = whatIsAt(path);
  if (there === 'something' || (there === 'folder' && shipped === undefined))
    return folder === '.' ? file : path;
  if (shipped !== undefined) return shipped;
  const names = shippedRecipes();
  const meant = nearest(file, names);
  const hint = meant === undefined ? '' : `did you mean ${meant}? `;
  throw new UserError(
    'CONFIG_NOT_FOUND',
    `no configuration file ${file}: ${hint}give a YAML file or the name of a shipped recipe (${names.join(', ')})`,
  );
}

/** A path that cannot be inspected counts as existing, so that reading it reports the reason. */
function whatIsAt(path: string): 'nothing' | 'folder' | 'something' {
  try {
    return statSync(path).isDirectory() ? 'folder' : 'something';
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    return ['ENOENT', 'ENOTDIR', 'ERR_INVALID_ARG_VALUE'].includes(code) ? 'nothing' : 'something';
  }
}

/** The file of the shipped recipe of this name, with or without its ending. */
export function shippedFile(name: string): string | undefined {
  const stem = name.replace(/\.yaml$/, '');
  return shippedRecipes().includes(stem) ? fileURLToPath(new URL(`${stem}.yaml`, shippedFolder)) : undefined;
}

/**
 * Reads a recipe over the one that its key `extends` names, if it has one: a path from the recipe's own folder on, or
 * a shipped recipe. One that is code has been imported before.
 *
 * @throws UserError `CONFIG_NOT_FOUND` or `CONFIG_INVALID`, naming the file and, where there is one, the line
 */
export function readRecipe(path: string, extending: readonly string[] = []): Layer {
  const chain = [...extending, path];
  if (extending.some((earlier) => resolve(earlier) === resolve(path)))
    throw new UserError(
      'CONFIG_INVALID',
      `${chain.join(' extends ')}: recipes extend one another in a circle`,
    );
  if (chain.length > mostExtended)
    throw new UserError(
      'CONFIG_INVALID',
      `${chain[0]}: more than ${mostExtended} recipes extend one another`,
    );
  const origin = [path, ...extending.toReversed().map((by) => `extended by ${by}`)].join(', ');
  const { value, places } = valueOf(path, origin);
  if (value !== null && !isSection(value))
    throw new UserError('CONFIG_INVALID', `${origin}: a recipe is a list of "key: value" lines`);
  const { extends: parent, ...settings } = value ?? {};
  placeModules(settings, dirname(path));
  const from = extending.length > 0 ? ` (extended by ${extending.toReversed().join(', ')})` : '';
  const located = new Map([...places].map(([key, place]) => [key, `${path}${place && `:${place}`}${from}`]));
  const own = { settings, places: located, origin };
  if (parent === undefined) return own;
  if (typeof parent !== 'string' || parent === '')
    throw new UserError(
      'CONFIG_INVALID',
      `${located.get('extends')}: extends is the path of one recipe, or a shipped one's name`,
    );
  return mergeLayers(readRecipe(findExtended(parent, path, located.get('extends')), chain), own);
}

function valueOf(path: string, origin: string): YamlText {
  if (isCode(path)) return importedRecipe(path);
  const text = readRegularText(path, { mostBytes: recipeBytes, code: 'CONFIG_NOT_FOUND' });
  return parseYaml(text, `${origin} is not YAML`);
}

function findExtended(parent: string, path: string, place = path): string {
  if (isCode(parent))
    throw new UserError(
      'CONFIG_INVALID',
      `${place}: extends: ${parent} is code, which runs only where --config names it: import it into a recipe that is code, too`,
    );
  try {
    return findRecipe(parent, dirname(path));
  } catch (error) {
    throw new UserError(codeOf(error), `${place}: extends: ${messageOf(error)}`);
  }
}

/**
 * Gives the user's own modules their absolute paths, since workers read the recipe in another folder: from that of the
 * recipe or call which names them.
 */
export function placeModules(settings: Settings, folder: string): void {
  const { model, plugins, init, centroids } = settings;
  if (isSection(centroids) && typeof centroids.file === 'string') centroids.file = resolve(centroids.file);
  if (isSection(init) && typeof init.from === 'string') init.from = resolve(init.from);
  if (isSection(model) && typeof model.path === 'string') model.path = resolve(folder, model.path);
  if (Array.isArray(plugins))
    settings.plugins = plugins.map((path: unknown) =>
      typeof path === 'string' && path !== '' ? resolve(folder, path) : path,
    );
}
