import type { JsonSchema } from './json-schema.js';
import { jsonSchema } from './json-schema.js';
import { choiceKeyAt, choiceOf, variantOf } from './schema-tree.js';

export type Settings = Record<string, unknown>;

/** Where settings were given, such as `faces.yaml:3:1` or `--set seed=2`, by their path. */
export type Places = ReadonlyMap<string, string>;

/** Settings with where each comes from. */
export interface Layer {
  settings: Settings;
  places: Places;
  /** Name of the origin, used where a place is not known. */
  origin: string;
}

/**
 * Merges a recipe into the one that it extends. Sections are merged key by key; lists and single values replace what
 * stood there. Where a section turns to another choice, the settings of the old one have been removed before.
 */
export function mergeLayers(base: Layer, over: Layer): Layer {
  const kept = withoutOldChoices(base.settings, over.settings);
  const replaced: string[] = [];
  const settings = merge(kept, over.settings, '', replaced);
  const places = new Map([...base.places].filter(([path]) => !isWithin(path, replaced)));
  for (const [path, place] of over.places) places.set(path, place);
  return { settings, places, origin: over.origin };
}

/** One setting that is put over all files. */
export interface Override {
  path: string;
  value: unknown;
  /** Text that the user gave, such as `--epochs 3`. */
  source: string;
}

/** Applies single settings to a layer, in any order. Settings of a choice that one of them replaces are dropped. */
export function overrideLayer(base: Layer, overrides: readonly Override[], assign: Assign): Layer {
  const target = structuredClone(base.settings);
  for (const override of overrides) assign(target, override);
  const settings = structuredClone(withoutOldChoices(base.settings, target));
  const paths = overrides.map(({ path }) => path);
  const places = new Map([...base.places].filter(([path]) => !isWithin(path, paths)));
  for (const override of overrides) {
    assign(settings, override);
    places.set(override.path, override.source);
  }
  return { ...base, settings, places };
}

type Assign = (settings: Settings, override: Override) => void;

/**
 * Where a setting was given; else where something in it was, else the choice of the nearest section that it is in, which
 * asks for it, or that section.
 */
export function placeOf({ places, origin }: Layer, path: readonly PropertyKey[]): string {
  const whole = path.join('.');
  const within = whole && [...places.keys()].findLast((key) => key.startsWith(`${whole}.`));
  const around = path.slice(1).flatMap((_, index) => {
    const section = path.slice(0, path.length - 1 - index).map(String);
    const choice = choiceKeyAt(section);
    return [choice === undefined ? undefined : [...section, choice].join('.'), section.join('.')];
  });
  const known = [whole, within, ...around].find((key) => key && places.has(key));
  return known ? (places.get(known) ?? origin) : origin;
}

/**
 * `base` without the settings that `over` makes void: where a section turns to another choice (the key by which the
 * schema distinguishes the section's variants), the settings that only the old variant has, and those that the schema
 * marks as describing the choice itself, such as a data set's folder. Settings of both variants stay; those of neither
 * stay too, so that they are reported as errors.
 */
function withoutOldChoices(base: Settings, over: Settings): Settings {
  return prune(base, over, jsonSchema(), jsonSchema());
}

function prune(base: Settings, over: Settings, before: JsonSchema, after: JsonSchema): Settings {
  const old = variantOf(before, base);
  const now = variantOf(after, { ...base, ...over });
  if (!old || !now) return base;
  const turned = choiceOf(before, base) !== choiceOf(after, { ...base, ...over });
  const entries = Object.entries(base).flatMap(([key, value]): [string, unknown][] => {
    const was = property(old, key);
    const is = property(now, key);
    if (was && !is) return [];
    if (turned && was?.ofItsChoice) return [];
    if (!was || !is || !isSection(value)) return [[key, value]];
    const above = Object.hasOwn(over, key) ? over[key] : undefined;
    return [[key, prune(value, isSection(above) ? above : {}, was, is)]];
  });
  return Object.fromEntries(entries);
}

function property({ properties = {} }: JsonSchema, key: string): JsonSchema | undefined {
  return Object.hasOwn(properties, key) ? properties[key] : undefined;
}

function merge(base: Settings, over: Settings, path: string, replaced: string[]): Settings {
  const merged = Object.entries(over).map(([key, value]): [string, unknown] => {
    const below = Object.hasOwn(base, key) ? base[key] : undefined;
    const here = path ? `${path}.${key}` : key;
    if (isSection(below) && isSection(value)) return [key, merge(below, value, here, replaced)];
    replaced.push(here);
    return [key, value];
  });
  return Object.fromEntries([...Object.entries(base), ...merged]);
}

function isWithin(path: string, sections: readonly string[]): boolean {
  return sections.some((section) => path === section || path.startsWith(`${section}.`));
}

export function isSection(value: unknown): value is Settings {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
