import { resolve } from 'node:path';
import { UserError } from '../util/errors.js';
import { importModule, readModule } from '../util/user-module.js';
import type { Places, Settings } from './layer.js';

/** Levels of sections and lists; a recipe has four. */
const mostDepth = 50;

/** What the recipes that were imported have come to, by path. */
const imported = new Map<string, Settings>();

/** Whether a recipe is code, by the ending of its file. */
export function isCode(file: string): boolean {
  return /\.m?[jt]s$/.test(file);
}

/**
 * Runs a recipe that is code, for `importedRecipe`. Only a file that the user has named for it may be given.
 *
 * @throws UserError `CONFIG_NOT_FOUND` or `CONFIG_INVALID`, in one line with the file
 */
export async function importRecipe(file: string): Promise<void> {
  readModule(file, 'CONFIG_NOT_FOUND');
  const { default: recipe } = await importModule(file, 'CONFIG_INVALID');
  if (!isPlain(recipe))
    throw new UserError(
      'CONFIG_INVALID',
      `${file}: its default export must be an object of settings: export default defineRecipe({...})`,
    );
  imported.set(resolve(file), copied(recipe, { file, path: '', depth: 0 }) as Settings);
}

/** A copy of what a recipe has come to that `importRecipe` has run, and the paths of its settings, without their lines. */
export function importedRecipe(file: string): { value: Settings; places: Places } {
  const settings = imported.get(resolve(file));
  if (!settings) throw new Error(`${file} has not been imported`);
  return { value: structuredClone(settings), places: new Map(pathsIn(settings).map((path) => [path, ''])) };
}

function pathsIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, child]) => [
    key,
    ...pathsIn(child).map((path) => `${key}.${path}`),
  ]);
}

interface CopyPlace {
  file: string;
  path: string;
  depth: number;
}

/** Values as YAML has them: what is undefined is left out, what is no data is refused. */
function copied(value: unknown, { file, path, depth }: CopyPlace): unknown {
  const refuse = (reason: string) => new UserError('CONFIG_INVALID', `${file}: ${path} ${reason}`);
  if (depth > mostDepth) throw refuse(`is more than ${mostDepth} levels deep`);
  const below = (key: string, child: unknown) =>
    copied(child, { file, path: path ? `${path}.${key}` : key, depth: depth + 1 });
  if (Array.isArray(value)) return value.map((child, index) => below(`${index}`, child));
  if (isPlain(value)) {
    const given = Object.entries(value).filter(([, child]) => child !== undefined);
    return Object.fromEntries(given.map(([key, child]) => [key, below(key, child)]));
  }
  if (value === null || ['string', 'number', 'boolean', 'undefined'].includes(typeof value)) return value;
  throw refuse('must be text, a number, true, false, a list or a section of settings');
}

function isPlain(value: unknown): value is Settings {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
