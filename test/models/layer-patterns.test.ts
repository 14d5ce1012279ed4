import { describe, expect, it } from 'vitest';
import { meansLayer } from '../../src/models/layer-patterns.js';

const network = [
  { layer: 'conv1', names: ['conv1', 'features.0'] },
  { layer: 'bn2', names: ['bn2', 'features.1'] },
  { layer: 'conv3', names: ['conv3', 'features.10'] },
  { layer: 'features', names: ['features', 'classifier.6'] },
];
const layers = new Set(network.map(({ layer }) => layer));

describe('meansLayer', () => {
  it.each([
    ['features', ['features']],
    ['features.*', ['conv1', 'bn2', 'conv3']],
    ['features.1', ['bn2']],
    ['classifier', ['features']],
    ['conv*', ['conv1', 'conv3']],
    ['conv', []],
  ])('%s means %j', (pattern, expected) => {
    const meant = network.filter((one) => meansLayer(pattern, one, layers));
    expect(meant.map(({ layer }) => layer)).toEqual(expected);
  });
});
