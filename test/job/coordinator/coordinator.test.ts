import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { afterEach, describe, expect, it } from 'vitest';
import * as zmq from 'zeromq';
import { MeetingFolder, meetingFolderName } from '../../../src/transport/meeting-folder.js';
import { machineId } from '../../../src/job/member/machine.js';
import type { WorkerMessage } from '../../../src/job/control/protocol.js';
import { describeFailure } from '../../../src/job/coordinator/failure.js';
import type { CoordinatorOptions } from '../../../src/job/coordinator/options.js';
import { UserError } from '../../../src/util/errors.js';
import { Job, secret, type Client } from '../clients.js';

let job: Job;
afterEach(() => job.stop());

async function start(options: Partial<CoordinatorOptions> = {}): Promise<Job> {
  return (job = await Job.start(options));
}

/** Resolves once the coordinator has what the client has said so far. */
async function heard(client: Client): Promise<void> {
  client.say({ type: 'clock', sent: 0 });
  await client.next('clock');
}

/** No collective is under way. */
const collectives = [{ begun: 0, name: '', forMs: 0 }];

describe('joining', () => {
  it('brings the ranks together: plan, table of endpoints, go', async () => {
    await start();
    const ranks = [job.client(0), job.client(1)];
    ranks[1].hello();
    ranks[0].hello();
    for (const rank of ranks) {
      expect(await rank.next('plan')).toMatchObject({
        jobId: expect.stringMatching(/^[0-9a-f]{32}$/),
        transport: 'tcp',
      });
      rank.say({ type: 'endpoints', endpoints: { [1 - rank.rank]: `tcp://h:${rank.rank}` } });
    }
    for (const rank of ranks) {
      const { table } = await rank.next('table');
      expect(table).toEqual({ 0: { 1: 'tcp://h:0' }, 1: { 0: 'tcp://h:1' } });
      rank.say({ type: 'connected' });
    }
    for (const rank of ranks) await rank.next('go');
  });

  it('answers a repeated hello of the same worker once', async () => {
    await start();
    const [first, second] = [job.client(0), job.client(1)];
    for (let time = 0; time < 3; time++) first.hello();
    second.hello();
    await first.next('plan');
    await expect(first.next('refused', 300)).rejects.toThrow(/no refused/);
  });

  it('names no folder, and removes that of a job whose ranks never met', async () => {
    await start({ transport: 'ipc' });
    const ranks = [job.client(0), job.client(1)];
    for (const rank of ranks) rank.hello({ machine: machineId() });
    const plan = await ranks[0].next('plan');
    expect(Object.keys(plan).sort()).toEqual([
      'generation',
      'hosts',
      'jobId',
      'rank',
      'reached',
      'secret',
      'start',
      'succession',
      'transport',
      'type',
      'worldSize',
    ]);
    const folder = await MeetingFolder.make(meetingFolderName(secret, plan.jobId), 0);
    expect(existsSync(folder?.path as string)).toBe(true);
    await job.stop();
    expect(existsSync(folder?.path as string)).toBe(false);
    folder?.remove();
  });

  it('tells ranks that share no folder apart, whatever their hosts are named, and says who is where', async () => {
    await start({ transport: 'ipc' });
    const ranks = [job.client(0), job.client(1)];
    ranks[0].hello({ machine: machineId(), reached: '10.0.0.1' });
    ranks[1].hello({ machine: 'another', reached: '10.0.0.1' });
    const plan = await ranks[0].next('plan');
    expect(plan.hosts).toEqual([machineId(), 'another']);
    expect(plan.reached).toEqual(['10.0.0.1']);
  });

  it.each([
    [
      'another version',
      { version: 99 },
      /^a worker speaks protocol 99, the coordinator \d+: install one version/,
    ],
    ['another world size', { worldSize: 3 }, /^rank 0 expects 3 workers, the job has 2/],
    ['a rank outside the job', { rank: 2 }, /^rank 2 is outside the job of 2 workers/],
  ])('ends with the reason where a worker has %s', async (_what, changes, reason) => {
    await start();
    const [wrong, right] = [job.client(0), job.client(1)];
    right.hello();
    wrong.hello(changes);
    const { code, message } = await wrong.next('refused');
    expect(code).toBe('JOIN_REFUSED');
    expect(message).toMatch(reason);
    expect(message).not.toContain('\n');
    expect((await job.coordinator.failure).cause).toBe(message);
    expect((await right.next('abort')).message).toBe(message);
  });

  it('says what is wrong to a worker of a later version, whatever else it says', async () => {
    await start();
    job.client(0).say({ type: 'hello', version: 99, place: { of: 'rank' } } as unknown as WorkerMessage);
    expect((await job.coordinator.failure).cause).toMatch(/^a worker speaks protocol 99/);
  });

  it('refuses a rank that is there already, naming its host', async () => {
    await start();
    const [first, second] = [job.client(1), job.client(1)];
    first.hello({ host: 'first-host' });
    await heard(first);
    second.hello({ host: 'second-host' });
    expect((await second.next('refused')).message).toMatch(/rank 1 has joined already, from first-host/);
  });

  it('goes on where a rank comes a second time while it runs', async () => {
    await start();
    const [first] = await job.running();
    const again = job.client(1);
    again.hello();
    expect((await again.next('refused')).message).toMatch(/rank 1 has joined already, from here/);
    await expect(first.next('abort', 700)).rejects.toThrow(/no abort/);
  });

  it('refuses a rank that has read another configuration', async () => {
    await start();
    const [first, second] = [job.client(0), job.client(1)];
    first.hello();
    await heard(first);
    second.hello({ digest: 'other' });
    expect((await second.next('refused')).message).toMatch(
      /rank 1 on here has read another configuration than rank 0/,
    );
  });

  it.each([
    [3, [1], /^ranks 0, 2 did not join within 1\.2 s/],
    [2, [0], /^rank 1 did not join within 1\.2 s/],
  ])('of %i fails past its deadline, naming who is missing', async (worldSize, present, cause) => {
    await start({ worldSize, joinTimeoutMs: 1200 });
    for (const rank of present) job.client(rank).hello({ worldSize });
    const failure = await job.coordinator.failure;
    expect(failure).toMatchObject({ code: 'JOIN_TIMEOUT', user: false });
    expect(failure.cause).toMatch(cause);
  });

  it('fails past its deadline where the ranks cannot connect to each other', async () => {
    await start({ joinTimeoutMs: 1200 });
    const ranks = [job.client(0), job.client(1)];
    for (const rank of ranks) rank.hello();
    await ranks[0].next('plan');
    const beats = setInterval(
      () => ranks[0].say({ type: 'beat', progress: 1, waiting: true, phase: '', collectives }),
      300,
    );
    const failure = await job.coordinator.failure;
    clearInterval(beats);
    expect(failure.cause).toMatch(/^the ranks could not connect to each other within 1\.2 s/);
  });

  it('hears nobody who does not know the secret', async () => {
    await start({ joinTimeoutMs: 1500 });
    job.client(0).hello();
    job.client(1, 'another secret for tests').hello();
    expect((await job.coordinator.failure).cause).toMatch(/^rank 1 did not join/);
  });
});

describe('listening', () => {
  it('says that a port is in use', async () => {
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

  it('says that there is no such address', async () => {
    await start();
    await expect(Job.start({ host: '203.0.113.7' })).rejects.toMatchObject({
      name: 'UserError',
      code: 'ADDRESS_INVALID',
      message: expect.stringContaining('tcp://203.0.113.7:*'),
    });
  });

  it('is not disturbed by strangers', async () => {
    await start();
    const stranger = new zmq.Dealer({ linger: 0 });
    stranger.connect(`tcp://127.0.0.1:${job.coordinator.port}`);
    const messages = ['garbage', Buffer.alloc(1000, 0x91), Buffer.of(0xdd, 0xff, 0xff, 0xff, 0xff), ''];
    for (const bytes of messages) await stranger.send(bytes);
    await stranger.send(['several', 'frames']);
    try {
      const [first] = await job.running();
      first.say({ type: 'beat', progress: 1, waiting: false, phase: '', collectives });
      await first.next('pulse');
    } finally {
      stranger.close();
    }
  });

  it('does not heed messages of workers that have not joined', async () => {
    await start();
    const stranger = job.client(0);
    stranger.say({ type: 'failed', code: 'X', message: 'stop everything', user: false });
    stranger.say({ type: 'finished' });
    const [first] = await job.running();
    await expect(first.next('abort', 700)).rejects.toThrow(/no abort/);
  });
});

describe('a running job', () => {
  it('agrees where all values are equal', async () => {
    await start();
    const ranks = await job.running();
    for (const rank of ranks) rank.say({ type: 'agree', name: 'weights', value: 'same' });
    for (const rank of ranks) expect(await rank.next('agreed')).toMatchObject({ name: 'weights' });
  });

  it('stops where they differ, naming the ranks', async () => {
    await start();
    const ranks = await job.running();
    ranks.forEach((rank, index) => rank.say({ type: 'agree', name: 'centroids', value: `value-${index}` }));
    const failure = await job.coordinator.failure;
    expect(failure.code).toBe('RANKS_DISAGREE');
    expect(failure.cause).toMatch(/the centroids \(rank 0: value-0; rank 1: value-1\)/);
    for (const rank of ranks) expect((await rank.next('abort')).message).toBe(failure.cause);
  });

  it('combines what the ranks gather, by rank, and tells all', async () => {
    await start();
    const ranks = await job.running();
    ranks[1].say({ type: 'gather', name: 'epoch', part: 'b' });
    ranks[0].say({ type: 'gather', name: 'epoch', part: 'a' });
    for (const rank of ranks) {
      expect((await rank.next('gathered')).result).toEqual({ name: 'epoch', parts: ['a', 'b'] });
    }
  });

  it('stops where parts cannot be combined', async () => {
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

  it('hands records on with their rank', async () => {
    const records: unknown[] = [];
    await start({ onRecord: (rank, news) => records.push([rank, news]) });
    const [, second] = await job.running();
    second.say({ type: 'record', news: { kind: 'step', loss: 1 } });
    second.say({ type: 'beat', progress: 1, waiting: false, phase: '', collectives });
    await second.next('pulse');
    expect(records).toEqual([[1, { kind: 'step', loss: 1 }]]);
  });

  it('is over when every rank has finished', async () => {
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

  it("passes a user's mistake on as it is", async () => {
    await start();
    const [first] = await job.running();
    first.say({ type: 'failed', code: 'IMAGE_INVALID', message: 'x.jpg is no image', user: true });
    expect(await job.coordinator.failure).toMatchObject({ user: true, cause: 'x.jpg is no image' });
  });

  it('tells a killed rank from those that lost it', async () => {
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

  it('names a rank that falls silent, and one that stands still', async () => {
    await start({ stallTimeoutMs: 2000 });
    const [first, second] = await job.running();
    const beats = setInterval(
      () => first.say({ type: 'beat', progress: Date.now(), waiting: false, phase: 'x', collectives }),
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
      ranks[0].say({ type: 'beat', progress: 1, waiting: false, phase: 'train of epoch 2', collectives });
      ranks[1].say({ type: 'beat', progress: moves++, waiting: false, phase: 'train', collectives });
    }, 100);
    const stuck = await job.coordinator.failure;
    clearInterval(more);
    expect(stuck).toMatchObject({ rank: 0, code: 'STALLED' });
    expect(stuck.cause).toMatch(
      /no progress for \d\.\d s in the phase "train of epoch 2" \(distributed\.stallTimeoutSeconds: 2\)/,
    );
  });

  it('stops at a message that no rank of ours would send twice', async () => {
    await start();
    const [first] = await job.running();
    first.say({ type: 'agree', name: 'weights', value: 'a' });
    first.say({ type: 'agree', name: 'weights', value: 'a' });
    expect((await job.coordinator.failure).cause).toMatch(/rank 0 gave weights twice/);
  });
});
