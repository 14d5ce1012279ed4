import { afterAll, beforeAll, expect, it } from 'vitest';
import { Workplace } from './command.js';
import { writeFolder } from '../data/images.js';
import { writeShards } from '../data/shards/shards.js';

const place = new Workplace();
beforeAll(async () => {
  await writeFolder(place.path('images'), ['a', 'b', 'c'], 12);
  await writeShards(place.path('shards'), place.path('images'), 3);
});
afterAll(() => place.clear());

const recipe = [
  ...['epochs=2', 'batchSize=18', 'distributed.bitwise=4'],
  'model={name: small-cnn, dim: 16, channels: [4, 8], strides: [1, 2], batchNorm: true}',
];
const augment = ['data.augment.flip=true', 'data.augment.cropPadding=1'];

async function weightsOf(workers: number, data: string): Promise<string> {
  const out = `${data.replaceAll(/\W+/g, '-')}-${workers}`;
  await place.train(workers, [`data={${data}, size: 8}`, ...augment, ...recipe], { out });
  return place.report(out).weightsSha256;
}

it('shards train to the bits of the same images in folders, with 1, 2 and 4 workers', async () => {
  const wanted = await weightsOf(1, 'name: image-folder, root: images');
  for (const workers of [1, 2, 4])
    expect(await weightsOf(workers, 'name: webdataset, root: shards, train: "train-{0..2}.tar"')).toBe(
      wanted,
    );
});

it('shards have the same evaluation as the folder', async () => {
  const checkpoint = 'name-webdataset-root-shards-train-train-0-2-tar--2';
  const evaluate = (data: string) =>
    place.ask('evaluate', '--checkpoint', checkpoint, '--json', '--set', `data={${data}, size: 8}`);
  const [shards, folder] = [
    await evaluate('name: webdataset, root: shards'),
    await evaluate('name: image-folder, root: images'),
  ];
  expect(shards.code, shards.stderr).toBe(0);
  const numbers = { ...(JSON.parse(folder.stdout) as object), dataset: 'shards' };
  expect(JSON.parse(shards.stdout)).toEqual(numbers);
});
