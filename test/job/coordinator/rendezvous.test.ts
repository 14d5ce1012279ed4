import { existsSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { MeetingFolder, meetingFolderName } from '../../../src/transport/meeting-folder.js';
import { machineId } from '../../../src/job/member/machine.js';
import type { WorkerMessage } from '../../../src/job/control/protocol.js';
import type { ElasticOptions } from '../../../src/job/coordinator/reform.js';
import type { Group } from '../../../src/record/job-state.js';
import type { CoordinatorOptions } from '../../../src/job/coordinator/options.js';
import { Job, heard, noCollectives, secret } from '../clients.js';

let job: Job;
afterEach(() => job.stop());

async function start(options: Partial<CoordinatorOptions> = {}): Promise<Job> {
  return (job = await Job.start(options));
}

describe('joining a job', () => {
  it('sends plan, table of endpoints and go to every rank', async () => {
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

  it('accepts a repeated hello of the same worker', async () => {
    await start();
    const [first, second] = [job.client(0), job.client(1)];
    for (let time = 0; time < 3; time++) first.hello();
    second.hello();
    await first.next('plan');
    await expect(first.next('refused', 300)).rejects.toThrow(/no refused/);
  });

  it('sends no folder in the plan, and removes the folder of a job whose ranks never connected', async () => {
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

  it('starts an elastic job without late workers, and takes them as spares when they come', async () => {
    const notices: string[] = [];
    const groups: Group[] = [];
    const elastic: ElasticOptions = {
      ...{ sizes: [2, 3], spares: Infinity, faultsPerWorkerHour: 6, silentMs: 60_000, lastCallMs: 300 },
      ...{ startWorker: () => undefined, endWorker: () => {}, onIncident: () => {} },
    };
    const onGroup = (group: Group) => void groups.push(group);
    await start({ worldSize: 3, elastic, onGroup, onNotice: (line) => void notices.push(line) });
    const [first, late, last] = [0, 1, 2].map((rank) => job.client(rank));
    const places = [first, last];
    first.hello({ worldSize: 3, pid: 10 });
    await expect(first.next('plan', 1000)).rejects.toThrow(/no plan/);
    last.hello({ worldSize: 3, pid: 12 });
    for (const [rank, client] of places.entries()) {
      expect(await client.next('plan')).toMatchObject({ rank, worldSize: 2, generation: 0 });
      client.say({ type: 'endpoints', endpoints: { [1 - rank]: `tcp://h:${rank}` } });
    }
    for (const client of places) {
      await client.next('table');
      client.say({ type: 'connected' });
    }
    for (const client of places) await client.next('go');
    late.hello({ worldSize: 3, pid: 11 });
    await heard(late);
    expect(groups.at(-1)).toMatchObject({ ranks: [{ pid: 10 }, { pid: 12 }], spares: [{ pid: 11 }] });
    expect(notices).toEqual([expect.stringMatching(/^2 of 3 workers are there: the run begins with 2/)]);
  });

  it('separates hosts by machine, not by name, and sends the address of each', async () => {
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
  ])('fails with the reason if a worker has %s', async (_what, changes, reason) => {
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

  it('reports the version of a later worker, whatever else its hello contains', async () => {
    await start();
    job.client(0).say({ type: 'hello', version: 99, place: { of: 'rank' } } as unknown as WorkerMessage);
    expect((await job.coordinator.failure).cause).toMatch(/^a worker speaks protocol 99/);
  });

  it('rejects a rank that has joined already, with the host of the first', async () => {
    await start();
    const [first, second] = [job.client(1), job.client(1)];
    first.hello({ host: 'first-host' });
    await heard(first);
    second.hello({ host: 'second-host' });
    expect((await second.next('refused')).message).toMatch(/rank 1 has joined already, from first-host/);
  });

  it('rejects a second hello of a rank while the job runs, and the job continues', async () => {
    await start();
    const [first] = await job.running();
    const again = job.client(1);
    again.hello();
    expect((await again.next('refused')).message).toMatch(/rank 1 has joined already, from here/);
    await expect(first.next('abort', 700)).rejects.toThrow(/no abort/);
  });

  it('rejects a rank with another configuration', async () => {
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
  ])('of %i ranks fails at its deadline with the missing ranks', async (worldSize, present, cause) => {
    await start({ worldSize, joinTimeoutMs: 1200 });
    for (const rank of present) job.client(rank).hello({ worldSize });
    const failure = await job.coordinator.failure;
    expect(failure).toMatchObject({ code: 'JOIN_TIMEOUT', user: false });
    expect(failure.cause).toMatch(cause);
  });

  it('fails at its deadline if the ranks cannot connect to each other', async () => {
    await start({ joinTimeoutMs: 1200 });
    const ranks = [job.client(0), job.client(1)];
    for (const rank of ranks) rank.hello();
    await ranks[0].next('plan');
    const beats = setInterval(
      () => ranks[0].say({ type: 'beat', progress: 1, waiting: true, phase: '', collectives: noCollectives }),
      300,
    );
    const failure = await job.coordinator.failure;
    clearInterval(beats);
    expect(failure.cause).toMatch(/^the ranks could not connect to each other within 1\.2 s/);
  });

  it('ignores workers that do not know the secret', async () => {
    await start({ joinTimeoutMs: 1500 });
    job.client(0).hello();
    job.client(1, 'another secret for tests').hello();
    expect((await job.coordinator.failure).cause).toMatch(/^rank 1 did not join/);
  });
});
