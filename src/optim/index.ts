import type { OptimizerConfig } from './schema.js';
import { AdamW } from './adamw.js';
import { Lars } from './lars.js';
import type { Optimiser } from './optimiser.js';
import { Sgd } from './sgd.js';

export { stateNames, type Optimiser, type Segment, type StateName } from './optimiser.js';

/** The update rule that a recipe names. */
export function createOptimiser(config: OptimizerConfig): Optimiser {
  switch (config.name) {
    case 'sgd':
      return new Sgd(config);
    case 'adamw':
      return new AdamW(config);
    case 'lars':
      return new Lars(config);
  }
}
