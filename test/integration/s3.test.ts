import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Workplace } from './command.js';
import { writeFolder } from '../data/images.js';
import { writeShards } from '../data/shards/shards.js';
import { imagesBelow } from '../../src/data/find-images.js';
import { environmentOf, FaultyProxy, needsMoto, ObjectServer } from '../s3/servers.js';

describe('a data set in a bucket', needsMoto, () => {
  const place = new Workplace();
  let server: ObjectServer;
  let proxy: FaultyProxy;

  beforeAll(async () => {
    server = await ObjectServer.start();
    proxy = await FaultyProxy.start(server.url);
    Object.assign(process.env, environmentOf(proxy.url));
    await server.put('things');
    await writeFolder(place.path('images'), ['a', 'b', 'c'], 8);
    await writeShards(place.path('shards'), place.path('images'));
    for (const file of await imagesBelow(place.path('images'), '', () => {}))
      await server.put(`things/${relative(place.folder, file)}`, readFileSync(file));
    for (const name of ['train-0', 'train-1', 'test-0', 'test-1'])
      await server.put(`things/shards/${name}.tar`, readFileSync(place.path('shards', `${name}.tar`)));
  });
  afterAll(async () => {
    await place.clear();
    await proxy.close();
    await server.close();
  });

  const recipe = [
    ...['epochs=2', 'batchSize=12', 'distributed.bitwise=4'],
    'model={name: small-cnn, dim: 16, channels: [4, 8], strides: [1, 2], batchNorm: true}',
  ];
  const faulty = () => {
    proxy.cutAfter = 200;
    for (let index = 0; index < 60; index++)
      proxy.faults.push(index % 5 === 0 ? 'busy' : index % 3 === 0 ? 'cut' : 'none');
  };

  async function weightsOf(out: string, workers: number, data: string): Promise<string> {
    const cache = `cache: {folder: ${place.path('cache')}}`;
    await place.train(workers, [`data={${data}, size: 8, ${cache}}`, ...recipe], { out });
    return place.report(out).weightsSha256;
  }

  it('trains to the bits of the same images on a local disk, despite faults of the server', async () => {
    const wanted = await weightsOf('local', 1, 'name: image-folder, root: images');
    faulty();
    expect(await weightsOf('folder', 2, 'name: image-folder, root: "s3://things/images"')).toBe(wanted);
    expect(proxy.faults).toEqual([]);
    const shards = 'name: webdataset, root: "s3://things/shards", train: "train-{0..1}.tar"';
    faulty();
    expect(await weightsOf('from-shards', 2, shards)).toBe(wanted);
    expect(proxy.faults).toEqual([]);
    proxy.requests.length = 0;
    expect(await weightsOf('again', 1, shards)).toBe(wanted);
    // The pixels are cached: only the shards' metadata are requested.
    expect(proxy.requests.filter(({ method }) => method !== 'HEAD' && method !== 'GET')).toEqual([]);
    expect(proxy.requests.filter(({ range }) => range !== undefined)).toEqual([]);
  });

  it('can be checked and evaluated', async () => {
    const checked = await place.ask('data', 'check', 's3://things/shards', '--json');
    expect(JSON.parse(checked.stdout)).toMatchObject({ format: 'webdataset', classes: 3, broken: [] });
    const args = ['--checkpoint', 'folder', '--json', '--set'];
    const [far, near] = [
      await place.ask('evaluate', ...args, 'data={name: image-folder, root: "s3://things/images", size: 8}'),
      await place.ask('evaluate', ...args, 'data={name: image-folder, root: images, size: 8}'),
    ];
    expect(far.code, far.stderr).toBe(0);
    const numbers = { ...(JSON.parse(near.stdout) as object), dataset: 's3://things/images' };
    expect(JSON.parse(far.stdout)).toEqual(numbers);
  });

  it('is rejected in one line if it is missing', async () => {
    const { code, lastLine } = await place.ask('data', 'check', 's3://things/nothing');
    expect(code).toBe(2);
    expect(lastLine).toMatch(/^pod-dist: s3:\/\/things\/nothing holds no data set/);
  });
});
