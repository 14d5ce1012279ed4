import { dataSchema, pixelRulesOf, type PixelRules } from '../../src/config/schema.js';

/** The rules of a recipe that says nothing about pixels. */
export const standardRules: PixelRules = pixelRulesOf(dataSchema.parse({ name: 'digits' }));
