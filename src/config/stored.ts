import { realpathSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { configSchema, type Config, type PixelRules } from './schema.js';
import { earlierPixelRules } from '../data/pixel-rules.js';

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

/** What decides targets and losses, and had another default in earlier versions. */
export interface EarlierChoices {
  centroids: Pick<Config['centroids'], 'centred'>;
  loss: { name: string; reduction?: string };
}

const earlierChoices: EarlierChoices = {
  centroids: { centred: false },
  loss: { name: 'pedcc-loss', reduction: 'element' },
};

/**
 * Fills in what decided the pixels, centroids and losses in earlier versions, and that all checkpoints were kept, where a
 * configuration that pod-dist has written does not say: later defaults are for new recipes.
 */
export function completeStored(settings: unknown): void {
  completeRules(settings, earlierPixelRules);
  completeChoices(settings, earlierChoices);
  const { checkpoint } = (settings ?? {}) as { checkpoint?: { keep?: number } | null };
  if (typeof checkpoint === 'object' && checkpoint && checkpoint.keep === undefined) checkpoint.keep = 0;
}

/** Fills in rules for pixels that settings leave open. */
export function completeRules(settings: unknown, rules: Partial<PixelRules>): void {
  const data = (settings as { data?: unknown } | null | undefined)?.data;
  if (typeof data !== 'object' || data === null) return;
  for (const [key, value] of Object.entries(rules))
    if (!Object.hasOwn(data, key)) Object.assign(data, { [key]: value });
}

/** Fills in choices that settings leave open. */
export function completeChoices(settings: unknown, { centroids, loss }: EarlierChoices): void {
  if (typeof settings !== 'object' || settings === null) return;
  const given = settings as { centroids?: unknown; loss?: { name?: unknown; reduction?: unknown } | null };
  given.centroids ??= {};
  if (typeof given.centroids === 'object' && given.centroids && !('centred' in given.centroids))
    Object.assign(given.centroids, { centred: centroids.centred });
  if (loss.reduction !== undefined && given.loss?.name === loss.name) given.loss.reduction ??= loss.reduction;
}

/** The line that names what was dropped from a file. */
export function describeDropped(file: string, paths: readonly string[]): string {
  return `${file}: ${paths.join(', ')}: no setting of this version, passed over`;
}

/**
 * A run folder's configuration without the files that it has written outside of the folder, except those that the user
 * asks for, by `named`; `left` names each removed one in a line.
 */
export function withoutOutsideFiles(
  config: Config,
  folder: string,
  named: (path: string) => boolean,
): { kept: Config; left: string[] } {
  const kept = structuredClone(config);
  const left: string[] = [];
  const isOutside = (path: string, file: string | undefined) => {
    if (file === undefined || named(path)) return false;
    const within = relative(realPath(folder), realPath(file));
    if (within !== '' && !isAbsolute(within) && within.split(/[\\/]/)[0] !== '..') return false;
    left.push(`${path} ${file} lies outside the run folder, passed over: give it again to have it`);
    return true;
  };
  if (isOutside('trace', kept.trace)) delete kept.trace;
  if ('cache' in kept.data && isOutside('data.cache.folder', kept.data.cache.folder))
    delete kept.data.cache.folder;
  return { kept, left };
}

/** The path without links, as far as it is there. */
function realPath(path: string): string {
  const whole = resolve(path);
  try {
    return realpathSync(whole);
  } catch {
    const parent = dirname(whole);
    return parent === whole ? whole : join(realPath(parent), basename(whole));
  }
}
