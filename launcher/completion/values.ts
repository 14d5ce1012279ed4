import { listedValues, type JsonSchema } from '../../src/config/json-schema.js';
import { shippedRecipes } from '../../src/config/recipe.js';
import { formsAt } from '../../src/config/schema-tree.js';
import { listSettings } from '../../src/config/settings.js';
import { sources } from '../../src/data/fetch/sources.js';
import { everyCode } from '../../src/util/error-codes.js';
import { settingOf } from '../flags.js';

interface Values {
  values: (readonly [value: string, description: string])[];
  /** Whether a file may stand there, too. */
  files: boolean;
}

/** What a flag takes, beside what yargs knows; undefined where nothing is known of it. */
export function valuesOf(flag: string, current: string): Values | undefined {
  if (flag === 'config') return { values: plain(shippedRecipes()), files: true };
  if (flag === 'set') return { values: assignments(current), files: false };
  if (flag === 'model') return { values: plain(listed('model.name')), files: false };
  const path = settingOf(flag);
  const known = path === undefined ? [] : listed(path);
  return known.length > 0 ? { values: plain(known), files: false } : undefined;
}

/** What an argument without a flag takes, by its command and name; undefined where it may be a file. */
export function positionalValues(place: string): string[] | undefined {
  if (place === 'data fetch name') return Object.keys(sources);
  if (place === 'config show recipe') return shippedRecipes();
  if (place === 'config settings section') return sections();
  if (place === 'explain code') return everyCode().map(([code]) => code);
  return undefined;
}

/** Settings with a `=`, or where that is there, their values. */
function assignments(current: string): Values['values'] {
  const at = current.indexOf('=');
  if (at >= 0) {
    const path = current.slice(0, at);
    return listed(path).map((value) => [`${path}=${value}`, '']);
  }
  return listSettings().map(({ path, forms }) => [`${path}=`, forms[0]?.description ?? '']);
}

function sections(): string[] {
  const paths = listSettings().flatMap(({ path }) => {
    const parts = path.split('.');
    return parts.map((_, index) => parts.slice(0, index + 1).join('.'));
  });
  return [...new Set(paths)];
}

/** The values of a setting, or of the entries of a list, where the schema lists them. */
function listed(path: string): string[] {
  const forms = formsAt(path.split('.'));
  const values = forms.flatMap((form: JsonSchema) => {
    if (form.type === 'boolean') return ['true', 'false'];
    return listedValues(form.items ?? form);
  });
  return [...new Set(values.map(String))];
}

function plain(values: readonly string[]): Values['values'] {
  return values.map((value) => [value, '']);
}
