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

describe('completeStored', () => {
  it('gives a stored configuration without pixel rules the earlier rules, not the current ones', () => {
    const stored = recipe();
    completeStored(stored);
    expect(configSchema.parse(stored).data).toMatchObject(earlier);
    expect(configSchema.parse(recipe()).data).toMatchObject(now);
  });

  it('gives a stored configuration without centred and reduction their earlier values', () => {
    const stored = { ...recipe(), loss: { name: 'pedcc-loss' } };
    completeStored(stored);
    expect(configSchema.parse(stored)).toMatchObject({
      centroids: { centred: false },
      loss: { reduction: 'element' },
    });
    expect(configSchema.parse({ ...recipe(), loss: { name: 'pedcc-loss' } })).toMatchObject({
      centroids: { centred: true },
      loss: { reduction: 'sum' },
    });
  });

  it('keeps settings that are given', () => {
    const stored = { ...recipe(), data: { ...recipe().data, ...now, background: '#000000' } };
    completeStored(stored);
    expect(configSchema.parse(stored).data).toMatchObject({ ...now, background: '#000000' });
  });
});

describe("a checkpoint's choices", () => {
  it('set the pixel rules that a recipe does not set', () => {
    const stored = recipe();
    completeStored(stored);
    const pixelRules = pixelRulesOf(configSchema.parse(stored).data);
    const { data } = loadConfig({ pixelRules, set: ['data.grey=rec601'] });
    expect(data).toMatchObject({ ...earlier, grey: 'rec601' });
  });

  it('set centroids and loss settings that a recipe does not set', () => {
    const stored = { ...recipe(), loss: { name: 'pedcc-loss' } };
    completeStored(stored);
    const choices = configSchema.parse(stored);
    expect(loadConfig({ choices, set: ['loss.name=pedcc-loss'] })).toMatchObject({
      centroids: { centred: false },
      loss: { reduction: 'element' },
    });
    expect(loadConfig({ choices, set: ['centroids.centred=true'] }).centroids.centred).toBe(true);
  });
});
