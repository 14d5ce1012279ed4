import { nearest } from '../util/nearest.js';
import { jsonSchema, variants, type JsonSchema } from './json-schema.js';
import { variantOf } from './schema-tree.js';

/** Suggests a known key for an unknown one under `path` of `settings`. */
export function suggestion(settings: unknown, path: readonly PropertyKey[], key: string): string {
  let known = fitting(jsonSchema(), settings);
  let at = settings;
  for (const part of path) {
    at = (at as Record<PropertyKey, unknown>)[part];
    known = known.flatMap((one) => fitting(one.properties?.[String(part)] ?? {}, at));
  }
  const keys = [...new Set(known.flatMap((one) => Object.keys(one.properties ?? {})))];
  const meant = nearest(key, keys);
  return meant === undefined ? `known keys here: ${keys.join(', ')}` : `did you mean ${meant}?`;
}

/** The form that a value chooses; all forms if it chooses no known one. */
function fitting(node: JsonSchema, value: unknown): JsonSchema[] {
  const chosen = variantOf(node, value);
  return chosen ? [chosen] : variants(node);
}
