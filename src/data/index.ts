import { availableParallelism } from 'node:os';
import type { DataConfig } from '../config/schema.js';
import type { Dataset } from './dataset.js';
import { openDigits } from './digits.js';
import { openImageFolder } from './image-folder.js';

export type { Batch, BatchRequest, Dataset } from './dataset.js';

export interface OpenOptions {
  /** Seed of the run, for augmentation. */
  seed: number;
  /** Loader threads where the recipe gives none; default: the cores there are, at most 4. */
  threads?: number;
}

/** Opens and checks the data set that a recipe names; a `UserError` names the file or folder that is wrong. */
export async function openDataset(config: DataConfig, { seed, threads }: OpenOptions): Promise<Dataset> {
  switch (config.name) {
    case 'digits':
      return openDigits(config, seed);
    case 'image-folder':
      return openImageFolder(config, { seed, threads: Math.min(threads ?? availableParallelism(), 4) });
  }
}
