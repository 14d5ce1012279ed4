import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { asFlags, Workplace } from './command.js';
import { freePort } from './free-port.js';
import { environmentOf, FaultyProxy, needsMoto, ObjectServer } from '../s3/servers.js';

describe('copies of checkpoints in a bucket', needsMoto, () => {
  const place = new Workplace();
  const address = 's3://things/runs/digits';
  const settings = [
    ...['bitwise=4', 'overlap=off'].map((one) => `distributed.${one}`),
    ...['batchSize=719', 'model={name: small-cnn, dim: 16, channels: [4, 8], strides: [1, 2]}'],
  ];
  const copied = [...settings, 'checkpoint.keep=last 2', `checkpoint.copyTo=${address}`];
  const launch = (given: readonly string[], ...args: string[]) =>
    place.start(['launch', '--backend', 'wasm', ...args, ...given.flatMap((one) => ['--set', one])]).ended;
  let server: ObjectServer;
  let proxy: FaultyProxy;

  beforeAll(async () => {
    server = await ObjectServer.start();
    proxy = await FaultyProxy.start(server.url);
    Object.assign(process.env, environmentOf(proxy.url), { POD_DIST_CACHE: place.path('cache') });
    await server.put('things');
  });
  afterAll(async () => {
    await place.clear();
    await proxy.close();
    await server.close();
  });

  /** Keys of the copies on the server. */
  async function copies(): Promise<string[]> {
    const text = await (await fetch(`${server.url}/things?list-type=2`)).text();
    return [...text.matchAll(/<Key>runs\/digits\/(.*?)<\/Key>/g)].map(([, key]) => key);
  }

  it('are the kept checkpoints, despite faults, and let a run without its folder continue', async () => {
    for (let index = 0; index < 40; index++) proxy.faults.push(index % 4 === 1 ? 'busy' : 'none');
    const first = await launch(copied, '--resume', '--workers', '2', '--epochs', '3', '--out', 'run');
    expect(first, first.stderr).toMatchObject({ code: 0 });
    const files = ['checkpoint.json', 'evaluation.json', 'moving.bin', 'shard-0.bin', 'shard-1.bin'];
    const kept = ['epoch-0002', 'epoch-0003'];
    expect(await copies()).toEqual(kept.flatMap((name) => files.map((file) => `${name}/${file}`)));
    const sent = proxy.requests.filter(({ method }) => method === 'PUT').map(({ path }) => path);
    for (const name of kept) {
      const places = (file: string) => sent.findLastIndex((path) => path.includes(`${name}/${file}`));
      expect(Math.max(places('shard-0'), places('shard-1'), places('moving'))).toBeLessThan(
        places('checkpoint'),
      );
    }
    const evaluated = await place.ask('evaluate', '--checkpoint', address, '--json');
    expect(evaluated.code, evaluated.stderr).toBe(0);
    expect(JSON.parse(evaluated.stdout)).toMatchObject({ epochs: 3 });
    const other = await launch(copied, '--workers', '1', '--out', 'other');
    expect(other).toMatchObject({ code: 2, lastLine: expect.stringMatching(/holds copies of another run/) });

    rmSync(place.path('run'), { recursive: true });
    const second = await launch(copied, '--resume', '--workers', '1', '--epochs', '4', '--out', 'run');
    expect(second, second.stderr).toMatchObject({ code: 0 });
    expect(second.stderr).toContain(`goes on from ${address}/epoch-0003`);
    expect(place.metrics('run').epochs.map(({ epoch }) => epoch)).toEqual([3]);
    await place.train(1, [...settings, 'epochs=4'], { out: 'whole' });
    expect(place.report('run').weightsSha256).toBe(place.report('whole').weightsSha256);
  });

  it('that cannot be sent give a line and exit code 74, however the run was started, and it trains to its end', async () => {
    const gone = await FaultyProxy.start('http://127.0.0.1:9');
    await gone.close();
    const port = await freePort();
    const ofTask = {
      ...{ RANK: '0', WORLD_SIZE: '1', LOCAL_RANK: '0', LOCAL_WORLD_SIZE: '1' },
      ...{ MASTER_ADDR: '127.0.0.1', MASTER_PORT: String(port) },
    };
    const starts: [run: string, args: string[], variables: object][] = [
      ['alone', ['launch', '--workers', '1'], {}],
      ['elastic', ['launch', '--workers', '1', '--elastic'], {}],
      ['task', ['worker'], ofTask],
    ];
    const train = async ([run, args, variables]: (typeof starts)[number]) => {
      const given = asFlags([...settings, `checkpoint.copyTo=${address}-${run}`]);
      const own = [...args, '--backend', 'wasm', '--epochs', '2', '--out', run, ...given];
      return place.start(own, { ...environmentOf(gone.url), ...variables }).ended;
    };
    const ends = await Promise.all(starts.map(train));
    for (const [index, { code, stderr, lastLine }] of ends.entries()) {
      const [run] = starts[index];
      expect(code, `${run}: ${stderr}`).toBe(74);
      expect(stderr).toMatch(
        /copies: cannot list s3:.*; the training goes on, and what it misses comes later/,
      );
      expect(lastLine).toMatch(/but: copies does not have all of the run: cannot list s3:.*ECONNREFUSED/);
      expect(place.report(run)).toMatchObject({ epochs: 2, missed: [expect.stringMatching(/^copies /)] });
      expect(place.checkpoints(run)).toContain('epoch-0002');
    }
  });

  it('that are broken are skipped for older ones, and an address without copies is rejected', async () => {
    await server.put('things/runs/digits/epoch-0004/shard-0.bin', 'broken');
    const { code, stderr, stdout } = await place.ask('evaluate', '--checkpoint', address, '--json');
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(/epoch-0004\/shard-0\.bin has 6 bytes/);
    expect(JSON.parse(stdout)).toMatchObject({ epochs: 3 });
    const nothing = await place.ask('predict', '--checkpoint', 's3://things/nothing', 'x.png');
    expect(nothing).toMatchObject({
      code: 2,
      lastLine: expect.stringContaining('no checkpoint under s3://things/nothing'),
    });
  });
});
