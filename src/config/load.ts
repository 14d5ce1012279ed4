import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { isMap, parse, parseDocument, YAMLParseError } from 'yaml';
import type { z } from 'zod';
import { messageOf, UserError } from '../errors.js';
import { suggestion } from './keys.js';
import { configSchema, type Config } from './schema.js';

/** Recipes that ship with pod-dist. */
const recipes = new URL('../../../configs/', import.meta.url);

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
 * Reads a recipe, puts `--set` and flags over it, and checks the whole.
 *
 * @throws UserError `CONFIG_INVALID` or `CONFIG_NOT_FOUND`: one line with the file, the key and what is allowed there
 */
export function loadConfig({ file = 'digits', base, set = [], flags = {} }: LoadOptions): Config {
  const path = base ? 'the checkpoint' : findRecipe(file);
  const settings: Record<string, unknown> = base ? structuredClone(base) : readRecipe(path);
  const sources = new Map<string, string>();
  const override = (key: string, value: unknown, source: string) => {
    assign(settings, key, value, source);
    sources.set(key, source);
  };
  for (const assignment of set) override(...splitAssignment(assignment), `--set ${assignment}`);
  for (const [key, value] of Object.entries(flags)) {
    if (value !== undefined) override(key, value, `the flag for ${key}`);
  }
  const result = configSchema.safeParse(settings);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new UserError('CONFIG_INVALID', `${sourceOf(issue, sources) ?? path}: ${explain(issue, settings)}`);
}

/** SHA-256 of a configuration: what the ranks of a job compare. */
export function configDigest(config: Config): string {
  return createHash('sha256').update(JSON.stringify(config)).digest('hex');
}

function findRecipe(file: string): string {
  if (existsSync(file)) return file;
  if (/^[\w.-]+$/.test(file)) {
    const shipped = fileURLToPath(new URL(`${file.replace(/\.yaml$/, '')}.yaml`, recipes));
    if (existsSync(shipped)) return shipped;
  }
  throw new UserError(
    'CONFIG_NOT_FOUND',
    `no configuration file ${file}: give a YAML file or the name of a shipped recipe`,
  );
}

function readRecipe(path: string): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new UserError('CONFIG_NOT_FOUND', `cannot read ${path}: ${messageOf(error)}`);
  }
  const document = parseDocument(text);
  const [error] = document.errors;
  if (error) throw new UserError('CONFIG_INVALID', `${path}: ${messageOf(error).split(':')[0]} is not YAML`);
  if (document.contents === null) return {};
  if (!isMap(document.contents))
    throw new UserError('CONFIG_INVALID', `${path}: a recipe is a list of "key: value" lines`);
  return document.toJS() as Record<string, unknown>;
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

/** What has set the value at fault, where it was not the file. */
function sourceOf(issue: z.core.$ZodIssue, sources: ReadonlyMap<string, string>): string | undefined {
  const path = issue.path.map(String);
  const keys = issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [...path, key]) : [path];
  const faults = keys.map((key) => key.join('.'));
  const [, source] = [...sources].find(([key]) => faults.some((at) => `${at}.`.startsWith(`${key}.`))) ?? [];
  return source;
}

function explain(issue: z.core.$ZodIssue, settings: unknown): string {
  const path = issue.path.join('.');
  if (issue.code === 'unrecognized_keys') {
    const [key] = issue.keys;
    return `unknown key ${path ? `${path}.` : ''}${key}; ${suggestion(issue.path.map(String), key, settings)}`;
  }
  return path ? `${path}: ${issue.message}` : issue.message;
}
