import { fork } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { Coordinator } from '../../src/job/coordinator/coordinator.js';
import { Job } from './clients.js';

const tooLong = new Uint8Array(65 * 2 ** 20);

let jobs: Job[] = [];
afterEach(async () => {
  await Promise.all(jobs.map((job) => job.stop()));
  jobs = [];
});

async function running(options = {}) {
  const job = await Job.start(options);
  jobs.push(job);
  return { job, ranks: await job.running() };
}

describe('a message that cannot be sent', () => {
  it("fails the worker's pending call at once, as leaving the job does", async () => {
    const coordinator = await Coordinator.start({
      ...{ host: '127.0.0.1', port: 0, worldSize: 2, token: 'secret', transport: 'ipc' },
      ...{ joinTimeoutMs: 20_000, stallTimeoutMs: 20_000 },
      combine: (_name, parts) => parts,
    });
    const children = [0, 1].map((rank) => {
      const given = { rank, address: `tcp://127.0.0.1:${coordinator.port}` };
      const script = new URL('../../dist/test/job/fixtures/leaving-rank.js', import.meta.url);
      return fork(script, { env: { ...process.env, OPTIONS: JSON.stringify(given) } });
    });
    try {
      const answers = children.map(
        async (child) => ((await once(child, 'message')) as [Record<string, unknown>])[0],
      );
      const sending = await answers[0];
      children[1].send('leave');
      const leaving = await answers[1];
      children[0].send('leave');
      expect(sending).toEqual({
        tooLong: {
          code: 'MESSAGE_NOT_SENT',
          message: expect.stringMatching(
            /^a message \(gather\) to the coordinator cannot be sent: .* 68157\d+/,
          ),
        },
        ms: expect.any(Number),
      });
      expect(leaving).toEqual({
        waits: new Array(2).fill('COMMUNICATOR_CLOSED'),
        later: new Array(4).fill('COMMUNICATOR_CLOSED'),
        ms: expect.any(Number),
      });
      expect(Math.max(sending.ms as number, leaving.ms as number)).toBeLessThan(30_000);
    } finally {
      await Promise.all(children.map(async (child) => child.exitCode ?? once(child, 'exit')));
      await coordinator.stop();
    }
  });

  it('ends the job if the coordinator cannot send it', async () => {
    const { job, ranks } = await running({ combine: () => tooLong });
    for (const rank of ranks) rank.say({ type: 'gather', name: 'epoch', part: 1 });
    for (const rank of ranks)
      rank.say({ type: 'beat', progress: 1, waiting: true, phase: 'wait', lengthy: false, collectives: [] });
    const { code, cause } = await job.coordinator.failure;
    expect([code, cause]).toEqual([
      'COORDINATOR_FAILED',
      expect.stringMatching(
        /^the coordinator failed: a message \(gathered\) to the workers cannot be sent: /,
      ),
    ]);
  });

  it('rejects on a closed connection', async () => {
    const { ranks } = await running();
    ranks[0].close();
    await expect(ranks[0].send({ type: 'finished' })).rejects.toMatchObject({ code: 'MESSAGE_NOT_SENT' });
  });
});
