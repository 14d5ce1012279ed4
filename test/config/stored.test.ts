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

  it('that says nothing about signs of centroids or a squared error keeps those that there were', () => {
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

  it('and its choices of centroids and loss do so too', () => {
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
