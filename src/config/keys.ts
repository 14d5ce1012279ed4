import { distance } from 'fastest-levenshtein';
import { z } from 'zod';
import { configSchema } from './schema.js';

interface JsonSchema {
  type?: string;
  description?: string;
  default?: unknown;
  const?: unknown;
  enum?: unknown[];
  properties?: Record<string, JsonSchema>;
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
}

/** One setting of a recipe. */
export interface Setting {
  /** Dotted path, such as `optimizer.momentum`. */
  path: string;
  description: string;
  default?: unknown;
}

const schema = z.toJSONSchema(configSchema, { io: 'input' }) as JsonSchema;

/** Every setting that a recipe may hold, in the order of the schema. */
export function listSettings(): Setting[] {
  const settings = new Map<string, Setting>();
  visit(schema, '', settings);
  return [...settings.values()];
}

/**
 * What to write in the place of an unknown key under `path`. `settings` are all settings given: where a name chooses
 * among several forms, as `model.name` does, the keys of the chosen form count.
 */
export function suggestion(path: readonly string[], key: string, settings: unknown): string {
  let forms = chosen([schema], settings);
  let values = settings;
  for (const part of path) {
    values = (values as Record<string, unknown> | undefined)?.[part];
    forms = chosen(
      forms.flatMap((form) => form.properties?.[part] ?? []),
      values,
    );
  }
  const keys = [...new Set(forms.flatMap((form) => Object.keys(form.properties ?? {})))];
  const [nearest] = keys.toSorted((a, b) => distance(a, key) - distance(b, key));
  if (nearest && distance(nearest, key) <= Math.max(2, key.length / 3)) return `did you mean ${nearest}?`;
  return `known keys here: ${keys.join(', ')}`;
}

function visit(node: JsonSchema, path: string, settings: Map<string, Setting>): void {
  for (const variant of variants(node)) {
    for (const [key, child] of Object.entries(variant.properties ?? {})) {
      const childPath = path ? `${path}.${key}` : key;
      if (variants(child).some((one) => one.properties)) visit(child, childPath, settings);
      else if (!settings.has(childPath)) {
        settings.set(childPath, {
          path: childPath,
          description: child.description ?? '',
          default: child.default,
        });
      }
    }
  }
}

function variants(node: JsonSchema): JsonSchema[] {
  return node.anyOf ?? node.oneOf ?? [node];
}

/** Of the forms that a section may take, those whose constants agree with the values given. */
function chosen(nodes: readonly JsonSchema[], values: unknown): JsonSchema[] {
  return nodes.flatMap(variants).filter((form) =>
    Object.entries(form.properties ?? {}).every(([key, { const: constant }]) => {
      const value = (values as Record<string, unknown> | undefined)?.[key];
      return constant === undefined || value === undefined || value === constant;
    }),
  );
}
