import { createHash } from 'node:crypto';
import type { z } from 'zod';
import { messageOf, UserError } from '../errors.js';
import { findRecipe, placeModule, readRecipe } from './recipe.js';
import { configSchema, type Config, type PixelRules } from './schema.js';
import { completeRules, completeStored, describeDropped, dropUnknown } from './stored.js';
import { suggestion } from './suggestion.js';
import { parseYaml } from './yaml.js';

export interface LoadOptions {
  /** A YAML file, or the name of a shipped recipe; default: the recipe `digits`. */
  file?: string;
  /** Settings to start from in place of a file. */
  base?: Config;
  /** Told of settings in the file that this version does not have, where pod-dist has written it; else they are errors. */
  onDropped?(line: string): void;
  /** `a.b=value`, each over what the file says; the value is read as YAML. */
  set?: readonly string[];
  /** Settings by path, over everything else; undefined ones are left out. */
  flags?: Readonly<Record<string, unknown>>;
  /** What decides the pixels where nothing else does: that of the checkpoint which a run goes on from. */
  pixelRules?: PixelRules;
}

/**
 * Reads a recipe and what it extends, puts `--set` and flags over it, and checks the whole.
 *
 * @throws UserError `CONFIG_INVALID` or `CONFIG_NOT_FOUND`: one line with the file, the key and what is allowed there
 */
export function loadConfig(options: LoadOptions): Config {
  const { file = 'digits', base, set = [], flags = {}, onDropped } = options;
  const { settings, origin } = base
    ? { settings: structuredClone<Record<string, unknown>>(base), origin: 'the checkpoint' }
    : readRecipe(findRecipe(file));
  if (onDropped) {
    const dropped = dropUnknown(settings);
    completeStored(settings);
    if (dropped.length > 0) onDropped(describeDropped(origin, dropped));
  }
  const sources = new Map<string, string>();
  for (const assignment of set) {
    const [key, value] = splitAssignment(assignment);
    assign(settings, key, value, `--set ${assignment}`);
    sources.set(key, `--set ${assignment}`);
  }
  for (const [key, value] of Object.entries(flags)) {
    if (value === undefined) continue;
    assign(settings, key, value, `the flag for ${key}`);
    sources.set(key, `the flag for ${key}`);
  }
  if (options.pixelRules) completeRules(settings, options.pixelRules);
  placeModule(settings, '.');
  return checkConfig(settings, origin, sources);
}

/**
 * Settings with their defaults filled in; `origin`, or for a path what `sources` says, names where they come from.
 *
 * @throws UserError `CONFIG_INVALID`: one line with the origin, the key and what is allowed there
 */
export function checkConfig(
  settings: unknown,
  origin: string,
  sources: ReadonlyMap<string, string> = new Map(),
): Config {
  const result = configSchema.safeParse(settings);
  if (result.success) return result.data;
  const { issues } = result.error;
  const issue = issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0];
  const where = sourceOf(issue, sources) ?? origin;
  throw new UserError('CONFIG_INVALID', messageOf(`${where}: ${explain(issue, settings)}`));
}

/** SHA-256 of a configuration: what the ranks of a job compare. */
export function configDigest(config: Config): string {
  return createHash('sha256').update(JSON.stringify(config)).digest('hex');
}

function splitAssignment(assignment: string): [key: string, value: unknown] {
  const at = assignment.indexOf('=');
  if (at <= 0)
    throw new UserError(
      'CONFIG_INVALID',
      `--set ${assignment}: write --set key=value, such as --set optimizer.momentum=0.8`,
    );
  const value = parseYaml(assignment.slice(at + 1), `--set ${assignment} gives no value`);
  return [assignment.slice(0, at), value];
}

function assign(settings: Record<string, unknown>, key: string, value: unknown, source: string): void {
  const path = key.split('.');
  let at = settings;
  for (const part of path.slice(0, -1)) {
    if (!Object.hasOwn(at, part) || at[part] === null) define(at, part, {});
    if (typeof at[part] !== 'object')
      throw new UserError('CONFIG_INVALID', `${source}: ${part} holds a single value, not settings`);
    at = at[part] as Record<string, unknown>;
  }
  define(at, path[path.length - 1], value);
}

/** Sets a property of the object itself, whatever its name. */
function define(settings: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(settings, key, { value, writable: true, enumerable: true, configurable: true });
}

/** The flag or assignment that the issue is about, if it is about one. */
function sourceOf(issue: z.core.$ZodIssue, sources: ReadonlyMap<string, string>): string | undefined {
  const key = issue.code === 'unrecognized_keys' ? issue.keys.slice(0, 1) : [];
  const path = [...issue.path, ...key].join('.');
  const given = [...sources].filter(([name]) => name === path || path.startsWith(`${name}.`));
  const within = [...sources].filter(([name]) => key.length > 0 && name.startsWith(`${path}.`));
  return [...given, ...within].pop()?.[1];
}

function explain(issue: z.core.$ZodIssue, settings: unknown): string {
  const path = issue.path.join('.');
  if (issue.code === 'unrecognized_keys') {
    const [key] = issue.keys;
    return `unknown key ${path ? `${path}.` : ''}${key}; ${suggestion(settings, issue.path, key)}`;
  }
  const value = issue.path.reduce<unknown>(
    (at, part) => (at as Record<PropertyKey, unknown> | undefined)?.[part],
    settings,
  );
  if (value === undefined) return `${path} is missing`;
  return path ? `${path}: ${issue.message}` : issue.message;
}
