import { datasets } from '../../src/data/index.js';
import { pixelRulesOf, type PixelRules } from '../../src/config/schema.js';

/** The pixel rules of a recipe without pixel settings. */
export const standardRules: PixelRules = pixelRulesOf(datasets.schema.parse({ name: 'digits' }));
