import { nearest } from '../nearest.js';
import { jsonSchema, listedValues, variants, type JsonSchema } from './json-schema.js';

/** What to write in the place of an unknown key under `path` of `settings`. */
export function suggestion(settings: unknown, path: readonly PropertyKey[], key: string): string {
  let known = fitting(jsonSchema, settings);
  let at = settings;
  for (const part of path) {
    at = (at as Record<PropertyKey, unknown>)[part];
    known = known.flatMap((one) => fitting(one.properties?.[String(part)] ?? {}, at));
  }
  const keys = [...new Set(known.flatMap((one) => Object.keys(one.properties ?? {})))];
  const meant = nearest(key, keys);
  return meant === undefined ? `known keys here: ${keys.join(', ')}` : `did you mean ${meant}?`;
}

/** The variants of `node` that a value chooses by its constant settings and its `name`. */
function fitting(node: JsonSchema, value: unknown): JsonSchema[] {
  const given = value as Record<string, unknown>;
  return variants(node).filter(({ properties = {} }) =>
    Object.entries(properties).every(([key, property]) => {
      if (key !== 'name' && property.const === undefined) return true;
      const allowed = listedValues(property);
      return allowed.length === 0 || allowed.includes(given[key] ?? property.default);
    }),
  );
}
