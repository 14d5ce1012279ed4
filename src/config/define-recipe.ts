import type { ConfigInput } from './schema.js';

/** Settings of which each may be left out, sections within sections too. */
export type Lenient<T> = T extends readonly unknown[]
  ? T
  : T extends object
    ? { [Key in keyof T]?: Lenient<T[Key]> }
    : T;

/** Settings of a recipe that is code: all that must be there, or those that differ from the recipe that it extends. */
export type Recipe =
  | (ConfigInput & { extends?: undefined })
  | (Lenient<ConfigInput> & {
      /** Path of a YAML recipe, from this one's folder on, or the name of a shipped one. */
      extends: string;
    });

/**
 * The settings as they are, with their types, for the default export of a recipe that is code: `--config` takes such a file
 * (`.ts`, `.mts`, `.js`, `.mjs`) beside YAML.
 *
 * @example
 * import { defineRecipe } from 'pod-dist';
 *
 * const epochs = 20;
 *
 * export default defineRecipe({
 *   extends: 'digits',
 *   name: 'digits-by-steps',
 *   epochs,
 *   learningRate: { schedule: 'step', rate: 0.4, epochs: [0.5, 0.75].map((share) => Math.round(share * epochs)) },
 * });
 */
export function defineRecipe(recipe: Recipe): Recipe {
  return recipe;
}
