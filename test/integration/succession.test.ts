import { existsSync, readFileSync, statSync } from 'node:fs';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readJobState, type JobState } from '../../src/record/job-state.js';
import { isRunning } from '../../src/util/processes.js';
import { paced, Workplace, until, type Command } from './command.js';
import { long } from '../needs.js';

const epochsOfRun = 7;
const settings = ['--backend', 'wasm', '--workers', '2', '--bitwise', '2', '--epochs', String(epochsOfRun)];

describe('an elastic job whose launcher or coordinator is killed', () => {
  let place: Workplace;
  let undisturbed: { weights: string; record: string[] };

  beforeAll(async () => {
    place = new Workplace();
    await place.train(2, ['distributed.bitwise=2', `epochs=${epochsOfRun}`], { out: 'run' });
    undisturbed = outcome();
    await place.clear();
  });
  beforeEach(() => void (place = new Workplace()));
  afterEach(() => place.clear());

  function outcome() {
    const times = new Set(['samplesPerSecond', 'exposedMs', 'seconds', 'exposedShare']);
    const { steps, epochs } = place.metrics('run');
    const record = [...steps, ...epochs].map((line) =>
      JSON.stringify(line, (key, value: unknown) => (times.has(key) ? undefined : value)),
    );
    return { weights: place.report('run').weightsSha256, record };
  }

  const state = () => readJobState(place.path('run')) as JobState;
  const incidents = () => {
    const lines = readFileSync(place.path('run/job/incidents.jsonl'), 'utf8').trimEnd().split('\n');
    return lines.map((line) => JSON.parse(line) as { code: string; replayed?: number });
  };
  const launch = () => place.start(['launch', ...settings, '--out', 'run', '--elastic'], paced(40));
  const launchLong = (out: string) =>
    place.start(['launch', ...settings.slice(0, -1), '500', '--out', out, '--elastic'], paced(40));
  const epochs = (count: number) =>
    until(`${count} epochs`, () => (place.epochs('run') >= count ? true : undefined));
  const report = () =>
    until('the report', () => (existsSync(place.path('run/report.json')) ? true : undefined), 60_000);
  const gone = (pids: readonly number[]) =>
    until('their end', () => (pids.some((pid) => isRunning({ pid, started: null })) ? undefined : true));

  async function survives(command: Command): Promise<void> {
    await report();
    expect(outcome()).toEqual(undisturbed);
    const { agent, workers } = state();
    await gone([agent.pid, ...workers.map(({ pid }) => pid)]);
    await command.ended;
    expect(place.leftovers()).toEqual([]);
  }

  it('continues without its launcher, can be attached to, and removes its secret at the end', async () => {
    const command = launch();
    await epochs(1);
    command.child.kill('SIGKILL');
    await command.ended;
    expect(state().secret).toMatch(/^[0-9a-f]{64}$/);
    for (const [path, mode] of [
      ['run/job/job.json', 0o600],
      ['run/job', 0o700],
    ] as const)
      expect(statSync(place.path(path)).mode & 0o777).toBe(mode);
    const follower = place.start(['attach', 'run', '--json']);
    await follower.says(/epoch \d+\/7 loss/);
    await survives(follower);
    const { code, stdout } = await follower.ended;
    expect(code).toBe(0);
    expect(stdout).toContain(undisturbed.weights);
    expect(state().secret).toBeUndefined();
    const late = await place.ask('attach', 'run');
    expect(late).toMatchObject({
      code: 2,
      lastLine: expect.stringContaining('no process works on it') as string,
    });
  });

  it(
    'continues when its terminal is closed, and obeys Ctrl-C while there is no coordinator',
    long,
    async () => {
      const command = launchLong('run');
      await epochs(1);
      command.child.kill('SIGHUP');
      expect(await command.ended).toMatchObject({ code: 129 });
      await epochs(place.epochs('run') + 1);
      expect(await place.ask('stop', 'run', '--now')).toMatchObject({ code: 0 });
      await gone(state().workers.map(({ pid }) => pid));

      const again = launchLong('again');
      const { agent } = await until('its state', () => {
        const found = readJobState(place.path('again'));
        return place.epochs('again') > 0 ? found : undefined;
      });
      process.kill(agent.pid, 'SIGKILL');
      await again.says('another one takes over');
      again.child.kill('SIGINT');
      expect(await again.ended).toMatchObject({ code: 130 });
      expect(again.alive()).toEqual([]);
    },
  );

  it('loses no step when its coordinator is killed, alone and together with a worker', async () => {
    const command = launch();
    await epochs(1);
    process.kill(state().agent.pid, 'SIGKILL');
    await command.says(/the process of the coordinator was lost; 2 workers go on after/);
    await epochs(place.epochs('run') + 2);
    const { agent, ranks, term } = state();
    expect(term).toBe(1);
    process.kill(agent.pid, 'SIGKILL');
    process.kill(ranks[0].pid, 'SIGKILL');
    await survives(command);
    expect(await command.ended).toMatchObject({ code: 0 });
    expect(incidents().map(({ code }) => code)).toContain('COORDINATOR_LOST');
  });

  it('restarts from its checkpoint when every process but its launcher is killed', long, async () => {
    const command = launch();
    await epochs(2);
    const { agent, ranks } = state();
    for (const { pid } of [agent, ...ranks]) process.kill(pid, 'SIGKILL');
    await survives(command);
  });

  it('restarts from its checkpoint when the only process left is a stopped spare', long, async () => {
    const args = ['launch', ...settings, '--out', 'run', '--elastic', '--spares', '1'];
    const command = place.start(args, paced(40));
    await epochs(2);
    const { pid } = await until('a spare', () => state().spares[0]);
    process.kill(pid, 'SIGSTOP');
    const { agent, ranks } = state();
    for (const one of [agent, ...ranks]) process.kill(one.pid, 'SIGKILL');
    await survives(command);
    await gone([pid]);
  });

  it('replaces a coordinator that is stopped (SIGSTOP)', async () => {
    const command = launch();
    await epochs(1);
    const { agent } = state();
    process.kill(agent.pid, 'SIGSTOP');
    await command.says(/the process of the coordinator was lost; 2 workers go on after/);
    await gone([agent.pid]);
    await survives(command);
  });

  it('ends with the same bits after resize has changed the number of workers', async () => {
    const command = launch();
    await epochs(1);
    const refused = await place.ask('resize', 'run', '--workers', '3');
    expect(refused).toMatchObject({ code: 2, lastLine: expect.stringContaining('1 or 2 workers') as string });
    expect(await place.ask('resize', 'run', '--workers', '1')).toMatchObject({ code: 0 });
    await command.says(/1 worker goes on after/);
    expect(state().ranks).toHaveLength(1);
    await place.ask('resize', 'run', '--workers', '2');
    await command.says(/2 workers are there; 2 workers go on/);
    await survives(command);
    // Each change waits for a snapshot.
    for (const { code, replayed } of incidents()) {
      expect(code).toBe('REFORMING');
      expect(replayed).toBeLessThan(6);
    }
  });
});
