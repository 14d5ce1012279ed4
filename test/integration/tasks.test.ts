import { existsSync } from 'node:fs';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readJobState, type JobState } from '../../src/record/job-state.js';
import { asFlags, fewSteps, paced, until, Workplace, type Command } from './command.js';
import { freePort } from './free-port.js';
import { Hosts } from './hosts.js';
import { long, needs } from '../needs.js';

const epochsOfRun = 12;
const settings = ['--backend', 'wasm', '--bitwise', '2', ...asFlags(fewSteps)];

let weights: string;
let place: Workplace;

/** Tasks with torchrun's variables; no launcher ends one when another one fails. */
describe('an elastic job of two tasks', () => {
  beforeAll(async () => {
    place = new Workplace();
    await place.train(1, ['distributed.bitwise=2', ...fewSteps, `epochs=${epochsOfRun}`], { out: 'run' });
    weights = place.report('run').weightsSha256;
    await place.clear();
  }, 120_000);
  beforeEach(() => void (place = new Workplace()));
  afterEach(() => place.clear());

  const state = () => readJobState(place.path('run')) as JobState;
  const epochs = (count: number) =>
    until(`${count} epochs`, () => (place.epochs('run') >= count ? true : undefined), 60_000);
  const taken = () => until('a new term', () => (state().term === 1 ? true : undefined));

  function task(rank: number, variables: NodeJS.ProcessEnv, within?: string[], more: string[] = []): Command {
    const who = { RANK: String(rank), WORLD_SIZE: '2', LOCAL_RANK: '0', LOCAL_WORLD_SIZE: '1' };
    const run = ['--epochs', String(epochsOfRun), '--set', 'elastic.enabled=true', '--out', 'run'];
    const args = ['worker', ...settings, ...run, ...more];
    return place.start(args, { ...who, ...variables, ...paced(280) }, within);
  }

  async function expectUndisturbed(...tasks: Command[]): Promise<void> {
    for (const one of tasks) {
      const ended = await one.ended;
      expect(ended, ended.stderr).toMatchObject({ code: 0 });
    }
    await until('the report', () => (existsSync(place.path('run/report.json')) ? true : undefined));
    expect(place.report('run').weightsSha256).toBe(weights);
    const { agent } = state();
    await until('the end of the agent', () => (existsSync(`/proc/${agent.pid}/exe`) ? undefined : true));
  }

  async function twoTasks(...more: string[]): Promise<Command[]> {
    const port = String(await freePort());
    const start = (rank: number) => task(rank, { MASTER_ADDR: '127.0.0.1', MASTER_PORT: port }, [], more);
    const tasks = [0, 1].map(start);
    await epochs(2);
    return tasks;
  }

  it('continues without a lost task (rank 0 with the coordinator, or rank 1) and accepts it when it is restarted', async () => {
    const port = String(await freePort());
    const start = (rank: number) => task(rank, { MASTER_ADDR: '127.0.0.1', MASTER_PORT: port });
    const [first, second] = [0, 1].map(start);
    await epochs(2);
    first.child.kill('SIGKILL');
    const firstAgain = start(0);
    await firstAgain.says('is under way: this task takes part in it');
    await taken();
    second.child.kill('SIGKILL');
    const secondAgain = start(1);
    await secondAgain.says('is under way: this task takes part in it');
    await until('both', () => (state().ranks.every(({ worker }) => worker > 1) ? true : undefined));
    await expectUndisturbed(firstAgain, secondAgain);
  });

  it(
    'accepts a worker of pod-dist join in the place of a lost task; without one it says what to do',
    long,
    async () => {
      const [first, second] = await twoTasks('--set', 'distributed.joinTimeoutSeconds=30');
      second.child.kill('SIGKILL');
      const guest = place.start(['join', 'run']);
      await first.says(/rank 1 on host .*; 2 workers go on after/);
      guest.child.kill('SIGKILL');
      const { code, lastLine } = await first.ended;
      expect(code).toBe(1);
      expect(lastLine).toMatch(
        /rank 1 on host .*; 1 of 2 workers are left, and no others have come within 30 s: start what is lost again/,
      );
    },
  );

  it('continues without a stopped task of rank 0, whose coordinator loses the run', long, async () => {
    const [first, second] = await twoTasks();
    first.child.kill('SIGSTOP');
    await taken();
    await epochs(place.epochs('run') + 2);
    first.child.kill('SIGCONT');
    await first.says('another process has taken the job over');
    await expectUndisturbed(first, second);
  });

  describe('over two hosts', needs('namespaces of hosts', Hosts.possible()), () => {
    let hosts: Hosts;
    beforeEach(async () => void (hosts = await Hosts.make(3)));
    afterEach(() => hosts.remove());

    it('continues when the host of rank 0 is lost, and accepts its task on another host', long, async () => {
      const variables = { MASTER_ADDR: hosts.address(0), MASTER_PORT: '29500' };
      const [, second] = [0, 1].map((rank) => task(rank, variables, hosts.within(rank, place.folder)));
      await epochs(2);
      hosts.lose(0);
      await taken();
      const again = task(0, variables, hosts.within(2, place.folder));
      await until('it', () =>
        [...state().ranks, ...state().spares].some(({ host }) => host.endsWith('c')) ? true : undefined,
      );
      await expectUndisturbed(second, again);
    });
  });
});
