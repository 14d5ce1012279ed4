import type { DataConfig } from '../config/schema.js';
import { UserError } from '../errors.js';

/** @throws UserError `CONFIG_INVALID` unless `normalize` has a mean and a standard deviation for every channel */
export function checkNormalisation(normalize: DataConfig['normalize'], channels: number): void {
  for (const [name, values] of Object.entries(normalize ?? {})) {
    if (values.length === channels) continue;
    throw new UserError(
      'CONFIG_INVALID',
      `data.normalize.${name} has ${values.length} values, images have ${channels} channels`,
    );
  }
}
