import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { joinS3, s3Address } from '../../src/s3/address.js';
import { findObject, listObjects, readObject } from '../../src/s3/objects.js';
import { environmentOf, FaultyProxy, needsMoto, ObjectServer } from './servers.js';

it('s3Address parses addresses, and rejects invalid ones', () => {
  expect(s3Address('s3://bucket/a/b c.tar')).toEqual({ bucket: 'bucket', key: 'a/b c.tar' });
  expect(s3Address('s3://bucket')).toEqual({ bucket: 'bucket', key: '' });
  expect(joinS3('s3://bucket/a/', 'b')).toBe('s3://bucket/a/b');
  for (const wrong of ['s3://', 's3:///key', 's3://../x', 's3://a b/c'])
    expect(() => s3Address(wrong)).toThrow(/write s3:\/\/bucket\/prefix/);
});

describe('objects', needsMoto, () => {
  const content = randomBytes(300_000);
  const path = 's3://things/folder/one.bin';
  const patience = { tries: 4, pauseMs: 1, tryMs: 1000 };
  let server: ObjectServer;
  let proxy: FaultyProxy;
  const put = (key: string, body: Uint8Array | string) => server.put(`things/${key}`, body);

  beforeAll(async () => {
    server = await ObjectServer.start();
    proxy = await FaultyProxy.start(server.url);
    Object.assign(process.env, environmentOf(proxy.url));
    await server.put('things');
    await put('folder/one.bin', content);
    for (const key of ['folder/a/1', 'folder/a/2', 'folder/b/3', 'other']) await put(key, key);
  });
  beforeEach(() => {
    proxy.requests.length = proxy.faults.length = 0;
  });
  afterAll(async () => {
    await proxy.close();
    await server.close();
  });

  it('are found and read in ranges', async () => {
    const found = await findObject(path, patience);
    expect(found).toEqual({ path, bytes: content.length, version: expect.stringMatching(/^".+"$/) });
    expect(await readObject(found, 5, 70_000, patience)).toEqual(content.subarray(5, 70_005));
    expect(await readObject(found, 7, 0, patience)).toEqual(Buffer.alloc(0));
  });

  it('are read from the byte at which a connection broke, after busy and silent answers', async () => {
    const found = await findObject(path, patience);
    proxy.requests.length = 0;
    proxy.faults.push('busy', 'cut', 'silent', 'cut', 'none');
    proxy.cutAfter = 100_000;
    expect(await readObject(found, 10, 250_000, patience)).toEqual(content.subarray(10, 250_010));
    const starts = proxy.requests.map(({ range = '' }) => Number(/=(\d+)-250009$/.exec(range)?.[1]));
    expect(starts.slice(0, 2)).toEqual([10, 10]);
    expect(starts[2]).toBeGreaterThan(10);
    expect(starts[3]).toBe(starts[2]);
    expect(starts[4]).toBeGreaterThan(starts[3]);
  });

  it('fail to read after several tries, each with a deadline', async () => {
    const found = await findObject(path, patience);
    proxy.faults.push('busy', 'busy', 'busy', 'busy');
    await expect(readObject(found, 0, 9, patience)).rejects.toMatchObject({
      code: 'DOWNLOAD_FAILED',
      message: expect.stringMatching(
        /cannot read s3:\/\/things\/folder\/one\.bin: the server answers 503 .*4 times/,
      ),
    });
    proxy.faults.push('silent', 'silent');
    await expect(readObject(found, 0, 9, { tries: 2, pauseMs: 1, tryMs: 100 })).rejects.toMatchObject({
      code: 'DOWNLOAD_FAILED',
      message: expect.stringMatching(/no answer in 0\.1 s, 2 times/),
    });
  });

  it('are rejected if they change between reads', async () => {
    await put('changing', content);
    const found = await findObject('s3://things/changing', patience);
    await put('changing', randomBytes(content.length));
    await expect(readObject(found, 0, 9, patience)).rejects.toMatchObject({
      name: 'UserError',
      code: 'DATA_INVALID',
      message: expect.stringMatching(/^s3:\/\/things\/changing has changed/),
    });
  });

  it('are rejected at once if they do not exist', async () => {
    for (const missing of ['s3://things/nowhere', 's3://no-such-bucket/x'])
      await expect(findObject(missing, patience)).rejects.toMatchObject({
        name: 'UserError',
        code: 'FILE_UNUSABLE',
        message: expect.stringContaining(`cannot read ${missing}: `),
      });
    expect(proxy.requests).toHaveLength(2);
  });

  it('are listed page by page, up to a limit', async () => {
    const { objects } = await listObjects('s3://things/folder', patience);
    expect(objects.map((object) => object.path)).toEqual(
      ['a/1', 'a/2', 'b/3', 'one.bin'].map((name) => `s3://things/folder/${name}`),
    );
    const flat = await listObjects('s3://things/folder', { ...patience, flat: true });
    expect(flat).toMatchObject({ folders: ['a', 'b'], objects: [{ path, bytes: content.length }] });
    await expect(listObjects('s3://things/folder', { ...patience, most: 3 })).rejects.toThrow(
      /more than 3 objects/,
    );
    proxy.requests.length = 0;
    proxy.faults.push('none', 'busy');
    const paged = await listObjects('s3://things/folder', { ...patience, pageKeys: 3 });
    expect(paged.objects).toEqual(objects);
    expect(proxy.requests).toHaveLength(3);
  });
});
