import { jsonSchema, listedValues, variants, type JsonSchema } from './json-schema.js';

/** Key by which a section chooses its variant, such as `name`: the schema lists its values in every one. */
export function choiceKey(node: JsonSchema): string | undefined {
  const all = variants(node);
  const [first, second] = all;
  if (first === undefined || second === undefined) return undefined;
  return Object.keys(first.properties ?? {}).find((key) =>
    all.every(({ properties = {} }) => listedValues(properties[key] ?? {}).length > 0),
  );
}

/**
 * Value by which a section chooses its variant; the default where it gives none; undefined where its schema has one
 * form.
 */
export function choiceOf(node: JsonSchema, section: unknown): unknown {
  const key = choiceKey(node);
  if (key === undefined) return undefined;
  const given = (section as Record<string, unknown> | undefined)?.[key];
  return (
    given ??
    variants(node)
      .map(({ properties = {} }) => properties[key]?.default)
      .find((value) => value !== undefined)
  );
}

/** Form of its schema that a section chooses; undefined where the chosen one does not exist. */
export function variantOf(node: JsonSchema, section: unknown): JsonSchema | undefined {
  const key = choiceKey(node);
  if (key === undefined) return variants(node).length === 1 ? variants(node)[0] : undefined;
  const choice = choiceOf(node, section);
  return variants(node).find(({ properties = {} }) => listedValues(properties[key] ?? {}).includes(choice));
}

/** The schemas of a setting in every variant that has it; none if there is no such setting. */
export function formsAt(path: readonly string[]): JsonSchema[] {
  return nodesAt(path).flatMap(variants);
}

/** The key by which the section at a path chooses its variant. */
export function choiceKeyAt(path: readonly string[]): string | undefined {
  return nodesAt(path).map(choiceKey)[0];
}

function nodesAt(path: readonly string[]): JsonSchema[] {
  let nodes = [jsonSchema()];
  for (const key of path)
    nodes = nodes
      .flatMap(variants)
      .map(({ properties = {} }) => (Object.hasOwn(properties, key) ? properties[key] : undefined))
      .filter((child) => child !== undefined);
  return nodes;
}
