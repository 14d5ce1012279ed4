import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RunStatus } from '../../src/record/run-status.js';
import { paced, smallModel, until, Workplace } from './command.js';

describe('pod-dist status and stop', () => {
  let place: Workplace;
  beforeEach(() => void (place = new Workplace()));
  afterEach(() => place.clear());

  async function status(): Promise<RunStatus> {
    return JSON.parse((await place.ask('status', 'run', '--json')).stdout) as RunStatus;
  }

  it('show and stop an elastic run, which resumes to the bits of an undisturbed run', async () => {
    const settings = ['--backend', 'wasm', '--workers', '2', '--epochs', '6', '--set', smallModel];
    const command = place.start(['launch', ...settings, '--out', 'run', '--elastic'], paced(60));
    await until('an epoch', () => (place.epochs('run') > 0 ? true : undefined));
    const before = await status();
    const workers = command.workers();
    expect(before).toMatchObject({ state: 'running', wantedEpochs: 6, incidents: 0 });
    expect(before.group?.ranks.map(({ rank, pid }) => [rank, pid])).toEqual(
      [...workers].toSorted(([a], [b]) => a - b),
    );

    process.kill(before.group?.ranks[1].pid as number, 'SIGKILL');
    await command.says('killed by signal SIGKILL');
    expect(await status()).toMatchObject({
      group: { generation: 1 },
      incidents: 1,
      lastIncident: { rank: 1, cause: expect.stringContaining('SIGKILL') as string },
    });

    // Nobody holds the folder now, and a worker starts the process that does next.
    process.kill(before.holder?.pid as number, 'SIGKILL');
    expect((await place.ask('stop', 'run')).stdout).toMatch(/has ended after \d epochs and \d+ steps/);
    expect((await command.ended).code).toBe(75);
    expect(await status()).toMatchObject({ state: 'stopped' });
    expect((await place.ask('status', 'run')).stdout).toMatch(/^it has ended: .*checkpoint/m);
    expect((await place.ask('stop', 'run')).stdout).toContain('no process works on it');

    const rest = await place.run('launch', '--resume', '--out', 'run');
    expect(rest.code).toBe(0);
    expect(await status()).toMatchObject({ state: 'finished', epochs: 6 });
    await place.train(2, ['epochs=6', smallModel], { out: 'alone' });
    expect(place.report('run').weightsSha256).toBe(place.report('alone').weightsSha256);
  });

  it('reject a folder that holds no run', async () => {
    for (const command of ['status', 'stop']) {
      const { code, lastLine } = await place.ask(command, 'nowhere');
      expect(code).toBe(2);
      expect(lastLine).toContain('there is no run in nowhere');
    }
    const { code, lastLine } = await place.ask('stop', 'nowhere', '--wait', 'long');
    expect([code, lastLine]).toEqual([2, expect.stringContaining('give --wait a number of seconds')]);
  });
});
