import { createHash } from 'node:crypto';
import type { z } from 'zod';
import { messageOf, UserError } from '../util/errors.js';
import { nearest } from '../util/nearest.js';
import { assign, readAssignment } from './assignment.js';
import { overrideLayer, placeOf, type Layer, type Override, type Settings } from './layer.js';
import { findRecipe, placeModules, readRecipe, shippedFile } from './recipe.js';
import { configSchema, type Config, type ConfigInput, type PixelRules } from './schema.js';
import {
  completeChoices,
  completeRules,
  completeStored,
  describeDropped,
  dropUnknown,
  type EarlierChoices,
} from './stored.js';
import { suggestion } from './suggestion.js';
import { present } from '../util/present.js';

/** Characters of a key that an error repeats. */
const shownCharacters = 60;

export interface LoadOptions {
  /** A YAML file, or the name of a shipped recipe; default: the recipe `digits`. */
  file?: string;
  /** Settings to start from in place of a file. */
  base?: ConfigInput;
  /** Called with settings that this version does not have, if pod-dist wrote the file; otherwise they are errors. */
  onDropped?(line: string): void;
  /** `a.b=value`, each over what the file says, in any order; `readAssignment` says how values are read. */
  set?: readonly string[];
  /** Settings that flags of their own give, over everything else. */
  flags?: readonly Override[];
  /** Rules for pixels where no setting decides them: those of the checkpoint that a run goes on from. */
  pixelRules?: PixelRules;
  /** What decides targets and losses, where no setting does: as `pixelRules`. */
  choices?: EarlierChoices;
}

/**
 * Reads a recipe and what it extends, puts `--set` and flags over it, and checks the whole.
 *
 * @throws UserError `CONFIG_INVALID` or `CONFIG_NOT_FOUND`: one line with the file, the key and what is allowed there
 */
export function loadConfig(options: LoadOptions): Config {
  const { set = [], flags = [], onDropped } = options;
  const given = settingsOf(options);
  if (onDropped) {
    const dropped = dropUnknown(given.settings);
    completeStored(given.settings);
    if (dropped.length > 0) onDropped(describeDropped(given.origin, dropped));
  }
  const layer = overrideLayer(given, [...set.map(readAssignment), ...flags], assign);
  if (options.pixelRules) completeRules(layer.settings, options.pixelRules);
  if (options.choices) completeChoices(layer.settings, options.choices);
  placeModules(layer.settings, '.');
  return checkLayer(layer);
}

/** Settings of the base or the recipe, before anything is put over them. */
export function settingsOf({ base, file }: Pick<LoadOptions, 'base' | 'file'>): Layer {
  if (!base) return readRecipe(recipeFile(file));
  return { settings: structuredClone(base) as Settings, places: new Map(), origin: 'the checkpoint' };
}

/** File of the recipe; without a name the shipped `digits`, whatever lies in the current folder. */
function recipeFile(file: string | undefined): string {
  return file === undefined ? (shippedFile('digits') ?? 'digits') : findRecipe(file);
}

/**
 * Settings with their defaults filled in; `origin` names where they come from.
 *
 * @throws UserError `CONFIG_INVALID`: one line with the origin, the key and what is allowed there
 */
export function checkConfig(settings: unknown, origin: string): Config {
  return checkLayer({ settings: settings as Settings, places: new Map(), origin });
}

function checkLayer(layer: Layer): Config {
  const result = configSchema.safeParse(layer.settings);
  if (result.success) return result.data;
  const { issues } = result.error;
  const issue = present(issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0], 'an issue');
  const key = issue.code === 'unrecognized_keys' ? issue.keys.slice(0, 1) : [];
  const where = placeOf(layer, [...issue.path, ...key]);
  throw new UserError('CONFIG_INVALID', messageOf(`${where}: ${explain(issue, layer.settings)}`));
}

/** SHA-256 of a configuration: what the ranks of a job compare. */
export function configDigest(config: Config): string {
  return createHash('sha256').update(JSON.stringify(config)).digest('hex');
}

function explain(issue: z.core.$ZodIssue, settings: unknown): string {
  const path = issue.path.join('.');
  if (issue.code === 'unrecognized_keys') {
    const [key = ''] = issue.keys;
    const shown = key.length > shownCharacters ? `${key.slice(0, shownCharacters)}...` : key;
    return `unknown key ${path ? `${path}.` : ''}${shown}; ${suggestion(settings, issue.path, shown)}`;
  }
  const value = issue.path.reduce<unknown>(
    (at, part) => (at as Record<PropertyKey, unknown> | undefined)?.[part],
    settings,
  );
  if (value === undefined) return `${path} is missing`;
  if (issue.code === 'invalid_union' && 'options' in issue && typeof value === 'string')
    return unknownName(path, value, issue.options ?? []);
  return path ? `${path}: ${issue.message}` : issue.message;
}

/** Explains a choice that does not exist, such as of a loss. */
function unknownName(path: string, name: string, options: readonly unknown[]): string {
  const known = options.filter((option) => typeof option === 'string');
  const meant = nearest(name, known);
  const hint = meant === undefined ? '' : `did you mean ${meant}? `;
  const shown = name.length > shownCharacters ? `${name.slice(0, shownCharacters)}...` : name;
  return `${path}: there is no ${shown}; ${hint}known are ${known.join(', ')}`;
}
