import { configSchema, type PixelRules } from './schema.js';
import { earlierPixelRules } from './schema/pixels.js';

/**
 * Takes the settings that this version does not have out of a configuration that pod-dist has written, since an
 * earlier version may have had them; gives their paths. Whatever else is wrong with it stays for the schema to refuse.
 */
export function dropUnknown(settings: unknown): string[] {
  const issues = configSchema.safeParse(settings).error?.issues ?? [];
  const unknown = issues.filter((issue) => issue.code === 'unrecognized_keys');
  return unknown.flatMap(({ path, keys }) => {
    const section = path.reduce((at, part) => (at as Record<PropertyKey, unknown>)[part], settings);
    return keys.map((key) => {
      delete (section as Record<string, unknown>)[key];
      return [...path, key].join('.');
    });
  });
}

/**
 * Fills in what decided the pixels in earlier versions, where a configuration that pod-dist has written does not say:
 * later defaults are for new recipes.
 */
export function completeStored(settings: unknown): void {
  completeRules(settings, earlierPixelRules);
}

/** Fills in rules for pixels that settings leave open. */
export function completeRules(settings: unknown, rules: Partial<PixelRules>): void {
  const data = (settings as { data?: unknown } | null | undefined)?.data;
  if (typeof data !== 'object' || data === null) return;
  for (const [key, value] of Object.entries(rules))
    if (!Object.hasOwn(data, key)) Object.assign(data, { [key]: value });
}

/** The line that names what was dropped from a file. */
export function describeDropped(file: string, paths: readonly string[]): string {
  return `${file}: ${paths.join(', ')}: no setting of this version, passed over`;
}
