import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { afterEach, describe, expect, it } from 'vitest';
import * as zmq from 'zeromq';
import { describeFailure } from '../../../src/job/coordinator/failure.js';
import type { CoordinatorOptions } from '../../../src/job/coordinator/options.js';
import { UserError } from '../../../src/util/errors.js';
import { Job, heard, noCollectives } from '../clients.js';

let job: Job;
afterEach(() => job.stop());

async function start(options: Partial<CoordinatorOptions> = {}): Promise<Job> {
  return (job = await Job.start(options));
}

describe('a listening coordinator', () => {
  it('rejects a port in use', async () => {
    await start();
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    try {
      const error = await Job.start({ port }).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(UserError);
      expect(error).toMatchObject({ code: 'PORT_IN_USE' });
      expect((error as Error).message).toMatch(new RegExp(`^port ${port} of 127\\.0\\.0\\.1 is in use: `));
    } finally {
      server.close();
    }
  });

  it("rejects an address that is not the host's", async () => {
    await start();
    await expect(Job.start({ host: '203.0.113.7' })).rejects.toMatchObject({
      name: 'UserError',
      code: 'ADDRESS_INVALID',
      message: expect.stringContaining('tcp://203.0.113.7:*'),
    });
  });

  it('ignores garbage from strangers', async () => {
    await start();
    const stranger = new zmq.Dealer({ linger: 0 });
    stranger.connect(`tcp://127.0.0.1:${job.coordinator.port}`);
    const messages = ['garbage', Buffer.alloc(1000, 0x91), Buffer.of(0xdd, 0xff, 0xff, 0xff, 0xff), ''];
    for (const bytes of messages) await stranger.send(bytes);
    await stranger.send(['several', 'frames']);
    try {
      const [first] = await job.running();
      first.say({ type: 'beat', progress: 1, waiting: false, phase: '', collectives: noCollectives });
      await first.next('pulse');
    } finally {
      stranger.close();
    }
  });

  it('ignores messages of workers that have not joined', async () => {
    await start();
    const stranger = job.client(0);
    stranger.say({ type: 'failed', code: 'X', message: 'stop everything', user: false });
    stranger.say({ type: 'finished' });
    const [first] = await job.running();
    await expect(first.next('abort', 700)).rejects.toThrow(/no abort/);
  });
});

describe('a running job', () => {
  it('agrees if all ranks give equal values', async () => {
    await start();
    const ranks = await job.running();
    for (const rank of ranks) rank.say({ type: 'agree', name: 'weights', value: 'same' });
    for (const rank of ranks) expect(await rank.next('agreed')).toMatchObject({ name: 'weights' });
  });

  it('stops with the ranks of each value if the values to agree on differ', async () => {
    await start();
    const ranks = await job.running();
    ranks.forEach((rank, index) => rank.say({ type: 'agree', name: 'centroids', value: `value-${index}` }));
    const failure = await job.coordinator.failure;
    expect(failure.code).toBe('RANKS_DISAGREE');
    expect(failure.cause).toMatch(/the centroids \(rank 0: value-0; rank 1: value-1\)/);
    for (const rank of ranks) expect((await rank.next('abort')).message).toBe(failure.cause);
  });

  it('combines gathered parts by rank, and sends the result to all ranks', async () => {
    await start();
    const ranks = await job.running();
    ranks[1].say({ type: 'gather', name: 'epoch', part: 'b' });
    ranks[0].say({ type: 'gather', name: 'epoch', part: 'a' });
    for (const rank of ranks) {
      expect((await rank.next('gathered')).result).toEqual({ name: 'epoch', parts: ['a', 'b'] });
    }
  });

  it('stops if combining the parts throws', async () => {
    await start({
      combine: () => {
        throw new Error('no sum');
      },
    });
    for (const rank of await job.running()) rank.say({ type: 'gather', name: 'epoch', part: 1 });
    const failure = await job.coordinator.failure;
    expect(failure).toMatchObject({ code: 'COORDINATOR_FAILED' });
    expect(failure.cause).toMatch(/combine epoch: no sum/);
  });

  it('passes records on with their rank', async () => {
    const records: unknown[] = [];
    await start({ onRecord: (rank, news) => records.push([rank, news]) });
    const [, second] = await job.running();
    second.say({ type: 'record', news: { kind: 'step', loss: 1 } });
    second.say({ type: 'beat', progress: 1, waiting: false, phase: '', collectives: noCollectives });
    await second.next('pulse');
    expect(records).toEqual([[1, { kind: 'step', loss: 1 }]]);
  });

  it('ends when every rank has finished', async () => {
    await start();
    const ranks = await job.running();
    ranks[0].say({ type: 'finished' });
    await expect(ranks[0].next('ended', 300)).rejects.toThrow(/no ended/);
    ranks[1].say({ type: 'finished' });
    for (const rank of ranks) await rank.next('ended');
    await job.coordinator.finished;
    job.coordinator.reportExit(0, 0, null);
    await expect(ranks[0].next('abort', 700)).rejects.toThrow(/no abort/);
  });

  it('reports the error of a rank, with its host, and stops the others', async () => {
    await start();
    const ranks = await job.running();
    ranks[1].say({ type: 'failed', code: 'LOSS_NOT_FINITE', message: 'the loss is NaN', user: false });
    job.coordinator.reportExit(1, 1, null);
    const failure = await job.coordinator.failure;
    expect(failure).toMatchObject({ rank: 1, host: 'here', code: 'LOSS_NOT_FINITE', user: false });
    expect(describeFailure(failure)).toBe('rank 1 on host here: error LOSS_NOT_FINITE: the loss is NaN');
    expect((await ranks[0].next('abort')).message).toBe(describeFailure(failure));
  });

  it("passes a user's mistake on unchanged", async () => {
    await start();
    const [first] = await job.running();
    first.say({ type: 'failed', code: 'IMAGE_INVALID', message: 'x.jpg is no image', user: true });
    expect(await job.coordinator.failure).toMatchObject({ user: true, cause: 'x.jpg is no image' });
  });

  it('blames the killed rank, not the rank that lost its connection to it', async () => {
    await start();
    const [first] = await job.running();
    first.say({ type: 'lost', peer: 1 });
    first.say({ type: 'failed', code: 'PEER_LOST', message: 'the connection to rank 1 ended', user: false });
    await heard(first);
    job.coordinator.reportExit(1, null, 'SIGKILL');
    expect(describeFailure(await job.coordinator.failure)).toBe(
      `rank 1 on host ${hostname()}: killed by signal SIGKILL (out of memory?)`,
    );
  });

  it('stops with the rank that sends no beats, or whose beats show no progress', async () => {
    await start({ stallTimeoutMs: 2000 });
    const [first, second] = await job.running();
    const beats = setInterval(
      () =>
        first.say({
          type: 'beat',
          progress: Date.now(),
          waiting: false,
          phase: 'x',
          collectives: noCollectives,
        }),
      100,
    );
    const failure = await job.coordinator.failure;
    clearInterval(beats);
    expect(failure).toMatchObject({ rank: second.rank, code: 'STALLED' });
    expect(failure.cause).toMatch(/no sign of life for \d\.\d s/);
    await job.stop();

    await start({ stallTimeoutMs: 2000 });
    const ranks = await job.running();
    let moves = 0;
    const more = setInterval(() => {
      ranks[0].say({
        type: 'beat',
        progress: 1,
        waiting: false,
        phase: 'train of epoch 2',
        collectives: noCollectives,
      });
      ranks[1].say({
        type: 'beat',
        progress: moves++,
        waiting: false,
        phase: 'train',
        collectives: noCollectives,
      });
    }, 100);
    const stuck = await job.coordinator.failure;
    clearInterval(more);
    expect(stuck).toMatchObject({ rank: 0, code: 'STALLED' });
    expect(stuck.cause).toMatch(
      /no progress for \d\.\d s in the phase "train of epoch 2" \(distributed\.stallTimeoutSeconds: 2\)/,
    );
  });

  it('stops when a rank gives a value to agree on twice', async () => {
    await start();
    const [first] = await job.running();
    first.say({ type: 'agree', name: 'weights', value: 'a' });
    first.say({ type: 'agree', name: 'weights', value: 'a' });
    expect((await job.coordinator.failure).cause).toMatch(/rank 0 gave weights twice/);
  });
});
