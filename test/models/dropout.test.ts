import { beforeAll, describe, expect, it } from 'vitest';
import { Dropout } from '../../src/models/dropout.js';
import { ForwardPass } from '../../src/models/forward.js';
import * as tf from '../../src/tf/index.js';

const features = 500;

/** A network of two dropout layers with these rates. */
function network(rates: readonly [number, number]) {
  const { layers } = tf;
  const model = tf.sequential({
    layers: [
      layers.flatten({ inputShape: [1, 1, features] }),
      layers.dropout({ rate: rates[0] }),
      layers.dropout({ rate: rates[1] }),
    ],
  });
  return tf.model({ inputs: model.inputs, outputs: model.outputs });
}

describe('Dropout', () => {
  beforeAll(() => tf.setBackend('cpu'));

  const rows = (dropout: Dropout, model: tf.LayersModel, epoch: number, images: number[]) => {
    dropout.begin({ epoch, images: Int32Array.from(images) });
    const ones = tf.ones<tf.Rank.R4>([Math.max(images.length, 1), 1, 1, features]);
    const values = tf.tidy(() => new ForwardPass(model).run(ones, dropout.overrides).dataSync());
    return images.map((_, row) => [...values.subarray(row * features, (row + 1) * features)]);
  };

  it('drops the given share of features, and scales the others by 1 / (1 - rate)', () => {
    const model = network([0.3, 0]);
    const values = rows(new Dropout(model, 5), model, 1, [3, 4, 5, 6]).flat();
    expect(new Set(values)).toEqual(new Set([0, Math.fround(1 / 0.7)]));
    const share = values.filter((value) => value === 0).length / values.length;
    expect(Math.abs(share - 0.3)).toBeLessThan(5 * Math.sqrt((0.3 * 0.7) / values.length));
  });

  it('draws by seed, epoch, image and layer, not by the batch', () => {
    const model = network([0.5, 0]);
    const dropout = new Dropout(model, 5);
    const [seven, two] = rows(dropout, model, 1, [7, 2]);
    expect(rows(dropout, model, 1, [2, 9, 7])).toEqual([two, expect.anything(), seven]);
    expect(seven).not.toEqual(two);
    expect(rows(dropout, model, 2, [7])).not.toEqual([seven]);
    expect(rows(new Dropout(model, 6), model, 1, [7])).not.toEqual([seven]);
    // The second layer draws independently: it keeps half of the features that the first one keeps.
    const both = network([0.5, 0.5]);
    const left = rows(new Dropout(both, 5), both, 1, [7])[0].filter((value) => value > 0).length;
    expect(left).toBeGreaterThan(0.15 * features);
    expect(left).toBeLessThan(0.35 * features);
  });

  it('leaves the placeholder of a rank without images unchanged', () => {
    const model = network([0.5, 0]);
    const dropout = new Dropout(model, 5);
    dropout.begin({ epoch: 0, images: new Int32Array() });
    const ones = tf.ones<tf.Rank.R4>([1, 1, 1, features]);
    expect(new Set(new ForwardPass(model).run(ones, dropout.overrides).dataSync())).toEqual(new Set([1]));
  });
});
