import type { Config } from '../config/schema.js';

/** The settings of a run, by their dotted paths; lists as JSON. */
export function flatSettings(config: Config): Map<string, string | number | boolean> {
  const found = new Map<string, string | number | boolean>();
  const visit = (value: unknown, path: string) => {
    if (value === undefined || value === null) return;
    if (typeof value === 'object' && !Array.isArray(value))
      for (const [key, inner] of Object.entries(value)) visit(inner, path ? `${path}.${key}` : key);
    else if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
      found.set(path, value);
    else found.set(path, JSON.stringify(value));
  };
  visit(config, '');
  return found;
}
