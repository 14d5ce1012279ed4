import { createHash } from 'node:crypto';
import { parse, YAMLParseError } from 'yaml';
import type { z } from 'zod';
import { UserError } from '../errors.js';
import { suggestion } from './keys.js';
import { findRecipe, readRecipe } from './recipe.js';
import { configSchema, type Config } from './schema.js';

export interface LoadOptions {
  /** A YAML file, or the name of a shipped recipe; default: the recipe `digits`. */
  file?: string;
  /** Settings to start from in place of a file. */
  base?: Config;
  /** `a.b=value`, each over what the file says; the value is read as YAML. */
  set?: readonly string[];
  /** Settings by path, over everything else; undefined ones are left out. */
  flags?: Readonly<Record<string, unknown>>;
}

/**
 * Reads a recipe and what it extends, puts `--set` and flags over it, and checks the whole.
 *
 * @throws UserError `CONFIG_INVALID` or `CONFIG_NOT_FOUND`: one line with the file, the key and what is allowed there
 */
export function loadConfig({ file = 'digits', base, set = [], flags = {} }: LoadOptions): Config {
  const { settings, source } = base
    ? { settings: structuredClone<Record<string, unknown>>(base), source: 'the checkpoint' }
    : readRecipe(findRecipe(file));
  for (const assignment of set) {
    const [key, value] = splitAssignment(assignment);
    assign(settings, key, value, `--set ${assignment}`);
  }
  for (const [key, value] of Object.entries(flags)) {
    if (value !== undefined) assign(settings, key, value, `the flag for ${key}`);
  }
  const result = configSchema.safeParse(settings);
  if (!result.success) throw new UserError('CONFIG_INVALID', `${source}: ${explain(result.error.issues[0])}`);
  return result.data;
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
  const text = assignment.slice(at + 1);
  try {
    return [assignment.slice(0, at), parse(text)];
  } catch (error) {
    if (error instanceof YAMLParseError)
      throw new UserError('CONFIG_INVALID', `--set ${assignment}: ${text} is not a value`);
    throw error;
  }
}

function assign(settings: Record<string, unknown>, key: string, value: unknown, source: string): void {
  const path = key.split('.');
  let at = settings;
  for (const part of path.slice(0, -1)) {
    at[part] ??= {};
    if (typeof at[part] !== 'object')
      throw new UserError('CONFIG_INVALID', `${source}: ${part} holds a single value, not settings`);
    at = at[part] as Record<string, unknown>;
  }
  at[path[path.length - 1]] = value;
}

function explain(issue: z.core.$ZodIssue): string {
  const path = issue.path.join('.');
  if (issue.code === 'unrecognized_keys') {
    const [key] = issue.keys;
    return `unknown key ${path ? `${path}.` : ''}${key}; ${suggestion(issue.path.map(String), key)}`;
  }
  return path ? `${path}: ${issue.message}` : issue.message;
}
