/**
 * Whether a pattern means a thing of these names. It is a whole name or its beginning up to a dot or slash, so that `layer1`
 * means `layer1.0.conv1`; `*` stands for any characters.
 */
export function matchesPattern(pattern: string, names: readonly string[]): boolean {
  const parts = pattern.split(/\*+/).map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  const expression = new RegExp(`^(?:${parts.join('.*')})(?:[./].*)?$`, 's');
  return names.some((name) => expression.test(name));
}

/**
 * Whether a pattern means a layer of a network, by any of `names`. A pattern that is the name of one of the network's
 * `layers` means that layer alone: torchvision calls all convolutions of VGG `features.<n>`, and `features` is the last layer.
 */
export function meansLayer(
  pattern: string,
  { layer, names }: { layer: string; names: readonly string[] },
  layers: ReadonlySet<string>,
): boolean {
  return layers.has(pattern) ? pattern === layer : matchesPattern(pattern, names);
}
