import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { paced, smallModel, until, Workplace, type Command } from './command.js';
import { freePort } from './free-port.js';

const settings = ['--backend', 'wasm', '--bitwise', '2', '--set', smallModel];
const epochs = 12;

/** The commands of two hosts, both run on this one. */
describe('launch --nnodes 2', () => {
  let place: Workplace;
  let weights: string;
  beforeAll(async () => {
    place = new Workplace();
    await place.train(1, ['distributed.bitwise=2', smallModel, `epochs=${epochs}`], { out: 'alone' });
    weights = place.report('alone').weightsSha256;
  });
  afterAll(() => place.clear());

  const underWay = (more: number) =>
    until('an epoch', () => (place.epochs('run') >= more ? true : undefined));

  it('ends with a checkpoint on both hosts when one gets SIGTERM, and resumes to the weights of one host', async () => {
    const [first, second] = await start((rank) => ({
      flags: ['--nnodes', '2', '--node-rank', String(rank)],
      variables: {},
    }));
    await underWay(1);
    second.child.kill('SIGTERM');
    for (const { code, lastLine } of [await first.ended, await second.ended])
      expect([code, lastLine]).toEqual([75, expect.stringContaining('--resume')]);
    const before = place.epochs('run');
    const elastic = await start((rank) => ({
      flags: ['--elastic'],
      variables: { PET_NNODES: '2', PET_NODE_RANK: String(rank), PET_NPROC_PER_NODE: '1' },
    }));
    await underWay(before + 1);
    process.kill(keptWorkerOf(elastic[1]), 'SIGKILL');
    for (const one of elastic) {
      const ended = await one.ended;
      expect(ended, ended.stderr).toMatchObject({ code: 0 });
    }
    expect((await elastic[1].ended).stderr).toMatch(
      /^\[1\] rank 1: its worker was killed by signal SIGKILL/m,
    );
    expect(place.report('run').weightsSha256).toBe(weights);
  });

  it('--nnodes 1:2 begins with one host, accepts the second, and ends with the same weights', async () => {
    const own = ['--nnodes', '1:2', '--out', 'range', '--set', 'elastic.lastCallSeconds=0.5'];
    const meeting = ['--rendezvous', `127.0.0.1:${await freePort()}`];
    const host = (rank: number) => {
      const args = ['launch', ...settings, ...own, ...meeting, '--epochs', String(epochs)];
      return place.start([...args, '--node-rank', String(rank)], paced(60));
    };
    const first = host(0);
    await first.says(/1 of 2 workers are there: the run begins with 1/);
    await until('an epoch', () => (place.epochs('range') > 0 ? true : undefined));
    const second = host(1);
    await first.says(/2 workers are there; 2 workers go on/);
    for (const one of [first, second]) {
      const ended = await one.ended;
      expect(ended, ended.stderr).toMatchObject({ code: 0 });
    }
    expect(place.report('range')).toMatchObject({ worldSize: 2, weightsSha256: weights });
    expect(place.leftovers()).toEqual([]);
  });

  async function start(of: (rank: number) => { flags: string[]; variables: NodeJS.ProcessEnv }) {
    const meeting = ['--rendezvous', `127.0.0.1:${await freePort()}`];
    return [0, 1].map((rank) => {
      const { flags, variables } = of(rank);
      const own = [...settings, '--resume', '--out', 'run', '--epochs', String(epochs)];
      const args = ['launch', ...own, ...meeting, ...flags];
      return place.start(args, { ...variables, ...paced(40) });
    });
  }

  /** The worker below the process that keeps its place: of those of its rank the last. */
  function keptWorkerOf(command: Command): number {
    return [...command.workers().values()].at(-1) as number;
  }
});
