import type { Setting, SettingForm } from '../src/config/settings.js';
import { largest } from '../src/util/extremes.js';
import { plainTable } from './plain-table.js';

/** Widths of the columns beside the description's. */
const leastPath = 34;
const valuesWidth = 30;
const leastDescription = 24;

/** Settings for the console: path, what it may be and its default, what it does and where, in lines of `width`. */
export function describeSettings(settings: readonly Setting[], width: number): string {
  const pathWidth = Math.max(leastPath, largest(settings.map(({ path }) => path.length + 1)));
  const rest = Math.max(leastDescription, width - pathWidth - valuesWidth - 2);
  const rows = settings.flatMap(({ path, forms }) =>
    forms.map((form, index) => [index === 0 ? path : '', allowed(form), meaning(form)]),
  );
  return plainTable(rows, { colWidths: [pathWidth, valuesWidth, rest], wordWrap: true });
}

function allowed({ values, default: standard, required }: SettingForm): string {
  if (required) return `${values}; required`;
  return standard === undefined ? values : `${values}; default ${text(standard)}`;
}

function meaning({ of, description }: SettingForm): string {
  return of.length === 0 ? description : `${of.join(', ')}: ${description}`;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
