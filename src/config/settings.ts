import { jsonSchema, listedValues, variants, type JsonSchema } from './json-schema.js';
import { choiceKey } from './schema-tree.js';

/** Form of a setting in some of the variants of its section. */
export interface SettingForm {
  /** The values of `name` (or `schedule`) of the section with this form; empty: every one. */
  of: readonly string[];
  /** The allowed values, in words. */
  values: string;
  description: string;
  default?: unknown;
  /** Whether a recipe must give it. */
  required: boolean;
}

/** One setting of a recipe. */
export interface Setting {
  /** Dotted path, such as `optimizer.momentum`. */
  path: string;
  /** One form, or several where the variants of its section differ. */
  forms: readonly SettingForm[];
}

/** Position of a node in the schema. */
interface SchemaPosition {
  path: string;
  /** Names of the variants that it is in; empty: its section has one form. */
  of: readonly string[];
  /** Whether all sections that it is in must be there, or are always filled in. */
  present: boolean;
}

/** Every setting that a recipe may hold, in the order of the schema. */
export function listSettings(): Setting[] {
  const found = new Map<string, SettingForm[]>();
  const choices: string[] = [];
  visit(jsonSchema(), { path: '', of: [], present: true }, found, choices);
  return [...found].map(([path, forms]) => ({ path, forms: merge(path, forms, found, choices) }));
}

/** Fills `found` with the forms of every setting by its path, and `choices` with the paths of those that choose. */
function visit(
  node: JsonSchema,
  { path, of, present }: SchemaPosition,
  found: Map<string, SettingForm[]>,
  choices: string[],
): void {
  const all = variants(node);
  const choice = choiceKey(node);
  if (choice !== undefined) choices.push(`${path}.${choice}`);
  for (const { properties = {}, required = [] } of all) {
    const chosen = choice === undefined ? of : listedValues(properties[choice] ?? {}).map(String);
    for (const [key, child] of Object.entries(properties)) {
      const about = (key === choice && node.description) || '';
      const place = { path: path ? `${path}.${key}` : key, of: chosen };
      const needed = present && required.includes(key);
      if (variants(child).some((variant) => variant.properties)) {
        visit(
          child,
          { ...place, present: needed || (present && child.default !== undefined) },
          found,
          choices,
        );
      } else {
        const form = { of: chosen, values: describeValues(child), description: child.description ?? about };
        const forms = found.get(place.path) ?? [];
        found.set(place.path, [...forms, { ...form, default: child.default, required: needed }]);
      }
    }
  }
}

/** Merges forms that differ only in their variants. A form that every variant of the section has needs no names. */
function merge(
  path: string,
  forms: readonly SettingForm[],
  found: ReadonlyMap<string, readonly SettingForm[]>,
  choices: readonly string[],
): SettingForm[] {
  const [first] = forms;
  if (choices.includes(path) && first !== undefined && forms.length > 1) return [joinChoices(first, forms)];
  const merged = new Map<string, SettingForm>();
  for (const { of, ...rest } of forms) {
    const same = JSON.stringify(rest);
    merged.set(same, { of: [...(merged.get(same)?.of ?? []), ...of], ...rest });
  }
  const choosing = choices.find((choice) => path.startsWith(choice.slice(0, choice.lastIndexOf('.') + 1)));
  const chosen = choosing === undefined ? [] : (found.get(choosing) ?? []);
  const everyVariant = chosen.reduce((sum, { of }) => sum + of.length, 0);
  return [...merged.values()].map((form) => (form.of.length === everyVariant ? { ...form, of: [] } : form));
}

/** The setting that chooses the variant: allows the values of all variants. */
function joinChoices(
  { description, default: standard, required }: SettingForm,
  forms: readonly SettingForm[],
): SettingForm {
  const values = forms.map((form) => form.values).join(' | ');
  return { of: [], values, description, default: standard, required };
}

function describeValues(node: JsonSchema): string {
  const forms = variants(node);
  if (forms.every((form) => listedValues(form).length > 0)) return listedValues(node).join(' | ');
  if (forms.length > 1)
    return forms
      .map((form) => (form.type === 'string' && form.description) || describeValues(form))
      .join(' | ');
  switch (node.type) {
    case 'boolean':
      return 'true | false';
    case 'array':
      return node.prefixItems
        ? `[${node.prefixItems.map(describeValues).join(', ')}]`
        : `[${describeValues(node.items ?? {})}, ...]`;
    case 'integer':
      return `whole number${range({ ...node, ...wholeRange(node) })}`;
    case 'number':
      return `number${range(node)}`;
    default:
      return node.properties ? fields(node.properties) : 'text';
  }
}

function fields(properties: Readonly<Record<string, JsonSchema>>): string {
  const listed = Object.entries(properties).map(([key, node]) => `${key}: ${describeValues(node)}`);
  return `{${listed.join(', ')}}`;
}

function wholeRange({ minimum, exclusiveMinimum, maximum }: JsonSchema): JsonSchema {
  return {
    minimum: exclusiveMinimum === undefined ? minimum : exclusiveMinimum + 1,
    exclusiveMinimum: undefined,
    maximum: maximum === Number.MAX_SAFE_INTEGER ? undefined : maximum,
  };
}

function range({ minimum, exclusiveMinimum, maximum, exclusiveMaximum }: JsonSchema): string {
  const parts = [
    minimum === undefined ? '' : ` from ${minimum}`,
    exclusiveMinimum === undefined ? '' : ` above ${exclusiveMinimum}`,
    maximum === undefined ? '' : ` to ${maximum}`,
    exclusiveMaximum === undefined ? '' : ` below ${exclusiveMaximum}`,
  ];
  return parts.join('');
}
