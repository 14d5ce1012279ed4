/**
 * Settings by path, such as `optimizer.momentum`; lists are values. Throws where there is a single value, or none.
 */
export function flattenSettings(
  value: unknown,
  path = '',
  into = new Map<string, unknown>(),
): Map<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    if (path === '') throw new Error('it is a single value');
    return into.set(path, value);
  }
  for (const [key, child] of Object.entries(value))
    flattenSettings(child, path ? `${path}.${key}` : key, into);
  return into;
}
