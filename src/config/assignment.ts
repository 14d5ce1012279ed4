import { UserError } from '../util/errors.js';
import type { JsonSchema } from './json-schema.js';
import { isSection, type Override, type Settings } from './layer.js';
import { formsAt } from './schema-tree.js';
import { parseYaml } from './yaml.js';

/** Sections that a path may go down. */
const mostParts = 10;
/** Characters that an assignment may have. */
const mostCharacters = 100_000;
/** Characters of an assignment that an error repeats. */
const shownCharacters = 120;

/**
 * Reads `key=value` of `--set`. A setting that is text takes the value as it stands, with all spaces, quotes and signs;
 * any other reads it as YAML. One that may be text or something else takes what YAML makes of it where that is the
 * something else, and the text as it stands otherwise.
 *
 * @throws UserError `CONFIG_INVALID`
 */
export function readAssignment(assignment: string): Override {
  const source = `--set ${shortened(assignment)}`;
  const at = assignment.indexOf('=');
  const path = assignment.slice(0, at);
  const parts = path.split('.');
  if (at <= 0 || parts.includes('') || parts.length > mostParts)
    throw new UserError(
      'CONFIG_INVALID',
      `${source}: write --set key=value, such as --set optimizer.momentum=0.8`,
    );
  if (assignment.length > mostCharacters)
    throw new UserError('CONFIG_INVALID', `${source}: it has more than ${mostCharacters} characters`);
  return { path, value: valueOf(assignment.slice(at + 1), formsAt(parts), source), source };
}

function valueOf(text: string, forms: readonly JsonSchema[], source: string): unknown {
  const texts = forms.filter(({ type }) => type === 'string');
  if (texts.length > 0 && texts.length === forms.length) return text;
  if (texts.length === 0) return parseYaml(text, `${source} gives no value`).value;
  const others = forms.filter(({ type }) => type !== 'string');
  try {
    const { value } = parseYaml(text, source);
    return others.some((form) => isOf(form, value)) ? value : text;
  } catch {
    return text;
  }
}

/** Whether a value is of the kind that a form describes. */
function isOf({ type, const: only, enum: listed }: JsonSchema, value: unknown): boolean {
  if (only !== undefined) return value === only;
  if (listed !== undefined) return listed.includes(value);
  switch (type) {
    case 'integer':
    case 'number':
      return typeof value === 'number';
    case 'array':
      return Array.isArray(value);
    case 'object':
      return isSection(value);
    case 'null':
      return value === null;
    default:
      return typeof value === type;
  }
}

/** Sets one setting, making the sections that it is in. */
export function assign(settings: Settings, { path, value, source }: Override): void {
  const cut = path.lastIndexOf('.');
  let at = settings;
  for (const part of cut < 0 ? [] : path.slice(0, cut).split('.')) {
    if (!Object.hasOwn(at, part) || at[part] === null || at[part] === undefined) define(at, part, {});
    const below = at[part];
    if (!isSection(below))
      throw new UserError(
        'CONFIG_INVALID',
        `${source}: ${part} holds ${Array.isArray(below) ? 'a list' : 'a single value'}, not settings`,
      );
    at = below;
  }
  define(at, path.slice(cut + 1), value);
}

/** Sets a property of the object itself, whatever its name. */
function define(settings: Settings, key: string, value: unknown): void {
  Object.defineProperty(settings, key, { value, writable: true, enumerable: true, configurable: true });
}

function shortened(text: string): string {
  return text.length > shownCharacters ? `${text.slice(0, shownCharacters)}...` : text;
}
