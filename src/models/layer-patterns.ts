/**
 * Whether a pattern means a thing of these names. It is a whole name or its beginning up to a dot or slash, so that `layer1`
 * means `layer1.0.conv1`; `*` stands for any characters.
 */
export function matchesPattern(pattern: string, names: readonly string[]): boolean {
  const parts = pattern.split(/\*+/).map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  const expression = new RegExp(`^(?:${parts.join('.*')})(?:[./].*)?$`, 's');
  return names.some((name) => expression.test(name));
}
