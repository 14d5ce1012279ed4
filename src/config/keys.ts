import { z } from 'zod';
import { nearest } from '../nearest.js';
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

/** What to write in the place of an unknown key under `path` of `settings`. */
export function suggestion(settings: unknown, path: readonly PropertyKey[], key: string): string {
  let known = fitting(schema, settings);
  let at = settings;
  for (const part of path) {
    at = (at as Record<PropertyKey, unknown>)[part];
    known = known.flatMap((one) => fitting(one.properties?.[String(part)] ?? {}, at));
  }
  const keys = [...new Set(known.flatMap((one) => Object.keys(one.properties ?? {})))];
  const meant = nearest(key, keys);
  if (meant !== undefined) return `did you mean ${meant}?`;
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

/** The variants of `node` that a value chooses by its constant settings and its `name`. */
function fitting(node: JsonSchema, value: unknown): JsonSchema[] {
  const given = value as Record<string, unknown>;
  return variants(node).filter(({ properties = {} }) =>
    Object.entries(properties).every(([key, property]) => {
      const named = key === 'name' ? property.enum : undefined;
      const allowed = property.const === undefined ? named : [property.const];
      return allowed?.includes(given[key] ?? property.default) ?? true;
    }),
  );
}
