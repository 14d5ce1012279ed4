import { describe, expect, it } from 'vitest';
import { datasets, openDataset } from '../../src/data/index.js';

const open = (holdOut: number) =>
  openDataset(datasets.schema.parse({ name: 'digits', holdOut }), { seed: 1 });

/** Every image with its class, as text. */
async function imagesOf(holdOut: number, split: 'train' | 'test'): Promise<string[]> {
  const dataset = await open(holdOut);
  const all = Int32Array.from(dataset.labels[split].keys());
  const images: string[] = [];
  // Test images are not augmented; held-out images are test images.
  for await (const batch of dataset.read({ split, batches: [all], epoch: 0 }))
    for (let row = 0; row < batch.count; row++)
      images.push(`${batch.labels[row]}: ${batch.images.subarray(row * 64, (row + 1) * 64).join()}`);
  await dataset.close();
  return images;
}

describe('holdOut', () => {
  it('replaces the test images by a share of the training images of each class', async () => {
    const [train, held, rest] = [
      await imagesOf(0, 'train'),
      await imagesOf(0.2, 'test'),
      await imagesOf(0.2, 'train'),
    ];
    expect([...held, ...rest].sort()).toEqual(train.sort());
    const countOf = (images: string[], label: number) =>
      images.filter((image) => image.startsWith(`${label}:`)).length;
    for (let label = 0; label < 10; label++)
      expect(Math.abs(countOf(held, label) - countOf(train, label) / 5)).toBeLessThanOrEqual(0.5);
  });

  it('changes the fingerprint, which is equal for equal shares', async () => {
    const prints = [0, 0.2, 0.2].map(async (share) => (await open(share)).fingerprint());
    const [none, first, second] = await Promise.all(prints);
    expect(first).toBe(second);
    expect(first).not.toBe(none);
  });
});
