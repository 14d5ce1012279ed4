import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readJobState, type JobState } from '../../src/record/job-state.js';
import { asFlags, fewSteps, paced, until, Workplace, type Command } from './command.js';

const epochs = 14;
const settings = ['--backend', 'wasm', '--bitwise', '4', ...asFlags(fewSteps), '--epochs', String(epochs)];
const launch = ['launch', ...settings, '--workers', '2', '--out', 'run', '--elastic'];

let weights: string;
beforeAll(async () => {
  const alone = new Workplace();
  await alone.train(1, ['distributed.bitwise=4', ...fewSteps, `epochs=${epochs}`], { out: 'run' });
  weights = alone.report('run').weightsSha256;
  await alone.clear();
}, 120_000);

let place: Workplace;
beforeEach(() => void (place = new Workplace()));
afterEach(() => place.clear());

const state = () => readJobState(place.path('run')) as JobState;
const guests = () => [...state().ranks, ...state().spares].filter(({ worker }) => worker >= 1_000_000);
const ranks = (count: number) =>
  until(`${count} ranks`, () => (state().ranks.length === count ? true : undefined));

async function joined(count: number): Promise<void> {
  await until(`${count} that have joined`, () => (guests().length === count ? true : undefined));
}

async function endsAlike(command: Command, followers: readonly Command[]): Promise<void> {
  const ended = await command.ended;
  expect(ended, ended.stderr).toMatchObject({ code: 0 });
  expect(place.report('run').weightsSha256).toBe(weights);
  for (const follower of followers) {
    const { code, stdout, stderr } = await follower.ended;
    expect({ code, stdout }, stderr).toEqual({ code: 0, stdout: 'run: the run has ended\n' });
  }
}

describe('pod-dist join on one host', () => {
  it('adds spares, which replace lost workers and become ranks after resize', async () => {
    const command = place.start(launch, paced(360));
    await until('an epoch', () => (place.epochs('run') > 0 ? true : undefined));
    const [first, second] = [place.start(['join', 'run']), place.start(['join', 'run'])];
    await joined(2);
    expect(guests().map(({ pid }) => pid)).toEqual(
      expect.arrayContaining([first.child.pid, second.child.pid]),
    );
    expect(state().ranks).toHaveLength(2);
    const shown = (await place.ask('status', 'run')).stdout;
    expect(shown).toContain(`spare: process ${first.child.pid} on host`);

    expect(await place.ask('resize', 'run', '--workers', '4')).toMatchObject({ code: 0 });
    await ranks(4);
    expect(guests().map(({ worker }) => worker)).toHaveLength(2);

    first.child.kill('SIGSTOP');
    await command.says(/rank \d on host .*: stalled: no sign of life for .*; [24] workers go on after/);
    first.child.kill('SIGCONT');
    await until('the one that was stopped', () =>
      guests().some(({ pid }) => pid === first.child.pid) ? true : undefined,
    );
    await ranks(4);

    second.child.kill('SIGKILL');
    await command.says(/rank \d on host .*: (?!stalled).*; [24] workers go on after/);
    process.kill(state().agent.pid, 'SIGKILL');
    await command.says(/the process of the coordinator was lost; [24] workers go on after/);
    await joined(1);
    await endsAlike(command, [first]);
  });

  it('refuses a run that no process trains, and a run that is not elastic', async () => {
    expect(await place.ask('join', 'run')).toMatchObject({
      code: 2,
      lastLine: expect.stringContaining('no process works on it') as string,
    });
    const command = place.start(launch.slice(0, -1), paced(360));
    await until('an epoch', () => (place.epochs('run') > 0 ? true : undefined));
    expect(await place.ask('join', 'run')).toMatchObject({
      code: 2,
      lastLine: expect.stringContaining('launch it with --elastic') as string,
    });
    command.child.kill('SIGINT');
    await command.ended;
  });
});
