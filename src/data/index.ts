import type { DataConfig } from '../config/schema.js';
import type { Dataset } from './dataset.js';
import { openDigits } from './digits.js';

export type { Batch, BatchRequest, Dataset } from './dataset.js';

/** Opens and checks the data set that a recipe names; a `UserError` names the file that is wrong. */
export async function openDataset(
  config: DataConfig,
  options: { seed: number; threads?: number },
): Promise<Dataset> {
  if (config.name === 'digits') return openDigits(config, options.seed);
  throw new Error('image-folder');
}
