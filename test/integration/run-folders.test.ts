import { existsSync, readdirSync, statSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { afterAll, describe, expect, it } from 'vitest';
import { paced, smallModel, until, Workplace } from './command.js';

const quick = ['launch', '--backend', 'wasm', '--set', 'batchSize=480', '--set', smallModel];

describe('run folders', () => {
  const place = new Workplace();
  afterAll(() => place.clear());

  it('are separate for jobs that start at the same time, with mode 700', async () => {
    const jobs = [1, 2, 3].map(() => place.start([...quick, '--epochs', '1', '--workers', '1']));
    const ended = await Promise.all(jobs.map((job) => job.ended));
    expect(
      ended.map(({ code }) => code),
      ended.map(({ stderr }) => stderr).join(),
    ).toEqual([0, 0, 0]);
    const folders = ['runs/digits', 'runs/digits-2', 'runs/digits-3'];
    expect(readdirSync(place.path('runs')).map((name) => `runs/${name}`)).toEqual(folders);
    for (const folder of folders) {
      expect(place.report(folder).epochs).toBe(1);
      expect(place.metrics(folder).steps).toHaveLength(3);
      expect(statSync(place.path(folder)).mode & 0o777).toBe(0o700);
    }
  });

  it('are locked while a job runs, and can be resumed after its process is killed', async () => {
    const job = place.start([...quick, '--epochs', '2000', '--workers', '2', '--out', 'run'], paced(50));
    await until('a checkpoint', () => place.checkpoints('run').includes('epoch-0002') || undefined);
    for (const again of [['--resume'], []]) {
      const { code, lastLine } = await place.run(...quick, ...again, '--out', 'run');
      expect([code, lastLine]).toEqual([
        2,
        expect.stringMatching(
          new RegExp(`^pod-dist: run is in use by another job: process ${job.child.pid} on host `),
        ),
      ]);
    }
    expect(job.child.exitCode).toBeNull();
    job.child.kill('SIGKILL');
    await job.clear();
    const epochs = 1 + Math.max(...place.checkpoints('run').map((name) => Number(name.slice(6))));
    const resumed = await place.run(...quick, '--resume', '--epochs', String(epochs), '--out', 'run');
    expect(resumed, resumed.stderr).toMatchObject({ code: 0 });
    expect(place.metrics('run').epochs.map(({ epoch }) => epoch)).toEqual([...Array(epochs).keys()]);
  });

  it('are not created by a failed start; --resume starts a new run, --resume=must does not', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const port = String((server.address() as AddressInfo).port);
    const job = [...quick, '--epochs', '1', '--workers', '2', '--out', 'new', '--resume'];
    const taken = await place.run(...job, '--port', port);
    server.close();
    expect(taken).toMatchObject({ code: 2, lastLine: expect.stringContaining(`port ${port}`) });
    expect(existsSync(place.path('new'))).toBe(false);
    const must = await place.run(...job.slice(0, -1), '--resume=must');
    expect(must).toMatchObject({
      code: 2,
      lastLine: expect.stringMatching(/there is no run new to go on with/),
    });
    const wrong = await place.run(...job.slice(0, -1), '--resume', 'new');
    expect(wrong).toMatchObject({ code: 2, lastLine: expect.stringMatching(/no value but must, not new/) });
    const started = await place.run(...job);
    expect(started, started.stderr).toMatchObject({ code: 0 });
  });

  it('are not created by launch in each task of torchrun', async () => {
    const task = { RANK: '0', WORLD_SIZE: '4' };
    const { code, lastLine } = await place.start([...quick, '--out', 'task'], task).ended;
    expect(code).toBe(2);
    expect(lastLine).toMatch(/one of 4 tasks that torchrun has started .*: give torchrun pod-dist worker/);
    expect(existsSync(place.path('task'))).toBe(false);
  });
});
