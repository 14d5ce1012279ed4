import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.js';
import { configSchema, pixelRulesOf } from '../../src/config/schema.js';
import { completeStored } from '../../src/config/stored.js';

const recipe = () => ({
  data: { name: 'image-folder', root: 'faces' },
  model: { name: 'resnet20' },
  learningRate: { schedule: 'constant', rate: 0.1 },
});
const earlier = { background: 'drop', orientation: 'ignore', grey: 'lightness', shrinkOnLoad: true };
const now = { background: '#ffffff', orientation: 'apply', grey: 'rec601', shrinkOnLoad: false };

describe('a stored configuration', () => {
  it('that says nothing about pixels keeps what decided them then; a new recipe does not', () => {
    const stored = recipe();
    completeStored(stored);
    expect(configSchema.parse(stored).data).toMatchObject(earlier);
    expect(configSchema.parse(recipe()).data).toMatchObject(now);
  });

  it('keeps what it says', () => {
    const stored = { ...recipe(), data: { ...recipe().data, ...now, background: '#000000' } };
    completeStored(stored);
    expect(configSchema.parse(stored).data).toMatchObject({ ...now, background: '#000000' });
  });
});

describe('the rules of a checkpoint', () => {
  it('decide where a recipe leaves them open, and nowhere else', () => {
    const stored = recipe();
    completeStored(stored);
    const pixelRules = pixelRulesOf(configSchema.parse(stored).data);
    const { data } = loadConfig({ pixelRules, set: ['data.grey=rec601'] });
    expect(data).toMatchObject({ ...earlier, grey: 'rec601' });
  });
});
