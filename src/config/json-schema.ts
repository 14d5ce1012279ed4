import { z } from 'zod';
import { configSchema } from './schema.js';

/** The keywords of JSON Schema that are used here. */
export interface JsonSchema {
  type?: string;
  description?: string;
  default?: unknown;
  const?: unknown;
  enum?: unknown[];
  minimum?: number;
  exclusiveMinimum?: number;
  maximum?: number;
  exclusiveMaximum?: number;
  items?: JsonSchema;
  prefixItems?: JsonSchema[];
  properties?: Record<string, JsonSchema>;
  required?: string[];
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  /** The setting describes what its section chooses, as a data set's folder does: it goes with the choice. */
  ofItsChoice?: boolean;
}

let latest: { of: unknown; schema: JsonSchema } | undefined;

/** The schema of recipes that extend none, with all that is registered. */
export function jsonSchema(): JsonSchema {
  if (latest?.of !== configSchema)
    latest = { of: configSchema, schema: z.toJSONSchema(configSchema, { io: 'input' }) as JsonSchema };
  return latest.schema;
}

/** The forms that a section or value may take. */
export function variants(node: JsonSchema): JsonSchema[] {
  return node.anyOf ?? node.oneOf ?? [node];
}

/** The values that a schema lists one by one; none where it describes them. */
export function listedValues(node: JsonSchema): unknown[] {
  return variants(node).flatMap(({ const: value, enum: values }) =>
    value === undefined ? (values ?? []) : [value],
  );
}

/**
 * A schema of recipe files, for editors that complete and check YAML: that of `jsonSchema`, with `extends`, and with
 * nothing required, since a recipe need not say what the one that it extends does.
 */
export function recipeFileSchema(): object {
  const { $schema, ...schema } = lenient(jsonSchema()) as JsonSchema & { $schema: string };
  const parent = { type: 'string', description: 'path of a recipe, or the name of a shipped one' };
  return {
    $schema,
    title: 'pod-dist recipe',
    ...schema,
    properties: { extends: parent, ...schema.properties },
  };
}

function lenient(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(lenient);
  if (typeof node !== 'object' || node === null) return node;
  const entries = Object.entries(node).filter(
    ([key, value]) => !(key === 'required' && Array.isArray(value)) && key !== 'ofItsChoice',
  );
  return Object.fromEntries(entries.map(([key, value]) => [key === 'oneOf' ? 'anyOf' : key, lenient(value)]));
}
