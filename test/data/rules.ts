import { datasets } from '../../src/data/index.js';
import { pixelRulesOf, type PixelRules } from '../../src/config/schema.js';

/** The rules of a recipe that says nothing about pixels. */
export const standardRules: PixelRules = pixelRulesOf(datasets.schema.parse({ name: 'digits' }));
