import { codeOf, messageOf, UserError } from '../util/errors.js';
import type { Dataset, SplitName } from './dataset.js';

/**
 * Opens the data set of a plug-in, and checks what can be checked without reading an image.
 *
 * @throws UserError `DATA_INVALID`, or what `open` throws of pod-dist's own
 */
export async function openOwn(name: string, open: () => unknown): Promise<Dataset> {
  let dataset: unknown;
  try {
    dataset = await open();
  } catch (error) {
    if (error instanceof UserError)
      throw new UserError(codeOf(error), `data set ${name}: ${messageOf(error)}`);
    throw new UserError('DATA_INVALID', `data set ${name}: its open failed: ${messageOf(error)}`);
  }
  const fault = faultOf((dataset ?? {}) as Partial<Dataset>);
  if (fault !== undefined) throw new UserError('DATA_INVALID', `data set ${name}: ${fault}`);
  return dataset as Dataset;
}

function faultOf({ classNames, shape, labels, ...functions }: Partial<Dataset>): string | undefined {
  if (!Array.isArray(classNames) || new Set(classNames).size !== classNames.length || classNames.length === 0)
    return 'classNames must be a list of different names';
  const sides: readonly unknown[] = Array.isArray(shape) ? shape : [];
  if (sides.length !== 3 || !sides.every((side) => Number.isInteger(side) && (side as number) > 0))
    return 'shape must be [height, width, channels]';
  for (const split of ['train', 'test'] satisfies SplitName[]) {
    const own: unknown = labels?.[split];
    if (!(own instanceof Int32Array)) return `labels.${split} must be an Int32Array`;
    if (own.length === 0) return `labels.${split} is empty`;
    const wrong = own.findIndex((label) => label < 0 || label >= classNames.length);
    if (wrong >= 0)
      return `labels.${split}[${wrong}] is ${own[wrong]}, not one of ${classNames.length} classes`;
  }
  const missing = (['fingerprint', 'read', 'close'] as const).find(
    (method) => typeof functions[method] !== 'function',
  );
  return missing === undefined ? undefined : `${missing} must be a function`;
}
