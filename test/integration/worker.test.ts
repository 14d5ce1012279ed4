import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { paced, smallModel, soonMs, until, Workplace, type Command } from './command.js';
import { freePort } from './free-port.js';

const training = ['worker', '--backend', 'wasm', '--set', smallModel];

describe('workers that another launcher has started', () => {
  let place: Workplace;
  beforeEach(() => void (place = new Workplace()));
  afterEach(() => place.clear());

  function start(
    variables: (rank: number) => NodeJS.ProcessEnv,
    epochs: number,
    within: readonly string[] = [],
  ): Command[] {
    const args = [...training, '--epochs', String(epochs), '--out', 'run'];
    return [0, 1].map((rank) => place.start(args, { ...variables(rank), ...paced(20) }, within));
  }

  async function torchrun(epochs: number, within: readonly string[] = []): Promise<Command[]> {
    const port = String(await freePort());
    const rendezvous = {
      TORCHELASTIC_RUN_ID: 'none',
      WORLD_SIZE: '2',
      MASTER_ADDR: '127.0.0.1',
      MASTER_PORT: port,
    };
    return start((rank) => ({ RANK: String(rank), LOCAL_RANK: String(rank), ...rendezvous }), epochs, within);
  }

  it('train together under the variables that torchrun sets, and go on with the recipe of the run', async () => {
    const run = async (...args: string[]) => {
      const rendezvous = { WORLD_SIZE: '2', MASTER_ADDR: '127.0.0.1', MASTER_PORT: String(await freePort()) };
      const ended = await Promise.all(
        [0, 1].map((rank) => {
          const variables = { TORCHELASTIC_RUN_ID: 'none', RANK: String(rank), LOCAL_RANK: String(rank) };
          const all = ['worker', '--out', 'run', '--resume', ...args];
          return place.start(all, { ...variables, ...rendezvous }).ended;
        }),
      );
      expect(
        ended.map(({ code }) => code),
        ended.map(({ stderr }) => stderr).join(),
      ).toEqual([0, 0]);
      return ended[0];
    };
    await run('--epochs', '1', '--backend', 'wasm', '--set', smallModel, '--set', 'seed=7');
    const { stdout, stderr } = await run('--epochs', '2');
    expect(stderr).toContain('changed since the checkpoint: epochs 1 -> 2\n');
    expect(stdout).toMatch(/epoch 2\/2/);
    expect(place.report('run')).toMatchObject({ worldSize: 2, epochs: 2, evalTotal: 360, backend: 'wasm' });
    expect(place.metrics('run').steps).toHaveLength(30);
    expect(readFileSync(place.path('run/config.yaml'), 'utf8')).toMatch(/^seed: 7$/m);
    expect(place.leftovers()).toEqual([]);
  });

  it('train together under the variables that Slurm sets', async () => {
    const job = {
      SLURM_NTASKS: '2',
      SLURM_NNODES: '1',
      SLURM_JOB_ID: String(process.pid),
      SLURM_STEP_ID: '0',
    };
    const commands = start(
      (rank) => ({ SLURM_PROCID: String(rank), SLURM_LOCALID: String(rank), ...job }),
      1,
    );
    const ended = await Promise.all(commands.map((command) => command.ended));
    expect(
      ended.map(({ code }) => code),
      ended.map(({ stderr }) => stderr).join(),
    ).toEqual([0, 0]);
    expect(place.report('run').worldSize).toBe(2);
  });

  it('do not change earlier runs', async () => {
    const run = async (...args: string[]) => {
      const variables = {
        RANK: '0',
        WORLD_SIZE: '1',
        MASTER_ADDR: '127.0.0.1',
        MASTER_PORT: String(await freePort()),
      };
      return place.start([...training, '--epochs', '1', ...args], variables).ended;
    };
    for (const folder of ['runs/digits', 'runs/digits-2']) {
      const ended = await run();
      expect(ended, ended.stderr).toMatchObject({ code: 0 });
      expect(place.report(folder).epochs).toBe(1);
    }
    const { code, stderr } = await run('--out', 'runs/digits');
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /^pod-dist: runs\/digits already holds files: give another --out, or --resume.*\n$/,
    );
  });

  it.each([0, 1])('all end soon when rank %i is killed', async (victim) => {
    const commands = await torchrun(500);
    await until('a first epoch', () => place.epochs('run') || undefined);
    commands[victim].child.kill('SIGKILL');
    const survivor = await Promise.race([commands[1 - victim].ended, delay(soonMs)]);
    expect(survivor).toMatchObject({ code: 1 });
    if (victim === 1) expect(survivor?.lastLine).toMatch(/rank 1\b/);
    expect(place.leftovers()).toEqual([]);
  });

  it('name missing ranks, the address they could not reach and the reason of a refusal, with exit code 1', async () => {
    const [missing, nobody, differing] = [await freePort(), await freePort(), await freePort()];
    const worker = (rank: number, port: number, ...more: string[]) =>
      place.start(['worker', '--backend', 'wasm', '--out', `run-${port}`, ...more], {
        RANK: String(rank),
        WORLD_SIZE: '2',
        MASTER_ADDR: 'localhost',
        MASTER_PORT: String(port),
      }).ended;
    const soon = ['--set', 'distributed.joinTimeoutSeconds=8'];
    const ended = await Promise.all([
      worker(0, missing, ...soon),
      worker(1, nobody, ...soon),
      worker(0, differing),
      worker(1, differing, '--batch-size', '32'),
    ]);
    expect(ended.map(({ code }) => code)).toEqual([1, 1, 1, 1]);
    const lines = ended.map(({ lastLine }) => lastLine);
    expect(lines[0]).toMatch(/^pod-dist: rank 1 did not join within 8 s: /);
    expect(lines[1]).toMatch(
      /^pod-dist: rank 1 could not join .* within 8 s: nothing listens at 127\.0\.0\.1:\d+: /,
    );
    for (const line of lines.slice(2))
      expect(line).toMatch(/rank [01] on \S+ has read another configuration than rank [01]: /);
    expect(place.leftovers()).toEqual([]);
  });

  it.each(['SIGTERM', 'SIGUSR1'] as const)('all end with a checkpoint when one gets %s', async (signal) => {
    const commands = await torchrun(500);
    await until('a first epoch', () => place.epochs('run') || undefined);
    commands[1].child.kill(signal);
    const ended = await Promise.all(commands.map((command) => command.ended));
    const [line] = ended.map(({ lastLine }) => lastLine);
    expect(line).toMatch(new RegExp(`^pod-dist: ended by ${signal} with the checkpoint (step|epoch)-\\d+; `));
    expect(ended.map(({ code, lastLine }) => [code, lastLine])).toEqual([
      [75, line],
      [75, line],
    ]);
    expect(place.checkpoints('run')).toContain(/checkpoint (\S+);/.exec(line)?.[1]);
    expect(place.leftovers()).toEqual([]);
  });

  it('all stop at once when one of them gets SIGUSR2', async () => {
    const [signal, code] = ['SIGUSR2', 140] as const;
    const commands = await torchrun(500);
    await until('a first epoch', () => place.epochs('run') || undefined);
    commands[1].child.kill(signal);
    const [first, second] = await Promise.all(commands.map((command) => command.ended));
    const stopped = `stopped by ${signal}; --resume goes on from the last checkpoint`;
    expect(second).toMatchObject({ code, lastLine: `pod-dist: ${stopped} (see pod-dist explain STOPPED)` });
    expect(first.code).toBe(1);
    expect(first.lastLine).toMatch(new RegExp(`^pod-dist: rank 1 on host .*: ${stopped} \\(see `));
    expect(place.leftovers()).toEqual([]);
  });

  it('end when the process that has started them is killed', async () => {
    const commands = await torchrun(500, ['bash', '-c', '"$@"; true', 'bash']);
    await until('a first epoch', () => place.epochs('run') || undefined);
    expect(commands.map((command) => command.workers().size)).toEqual([1, 1]);
    for (const { child } of commands) child.kill('SIGKILL');
    const alive = () => commands.flatMap((command) => command.alive());
    const killed = performance.now();
    await until('the workers to end', () => alive().length === 0 || undefined);
    expect(performance.now() - killed).toBeLessThan(soonMs);
    expect(place.leftovers()).toEqual([]);
  });

  it('name the variable that is missing in the environment', async () => {
    const ended = await place.start(['worker'], { RANK: '0', WORLD_SIZE: 'many' }).ended;
    expect(ended).toMatchObject({ code: 2, lastLine: expect.stringContaining('WORLD_SIZE is "many"') });
  });

  it('is replaced in an elastic job without the end of its task', async () => {
    const args = [...training, '--bitwise', '2', '--epochs', '6'];
    const port = String(await freePort());
    const start = (rank: number) =>
      place.start([...args, '--out', 'run', '--elastic'], {
        ...{ RANK: String(rank), WORLD_SIZE: '2', LOCAL_RANK: String(rank) },
        ...{ MASTER_ADDR: '127.0.0.1', MASTER_PORT: port },
        ...paced(60),
      });
    const commands = [start(0), start(1)];
    await until('an epoch', () => place.epochs('run') || undefined);
    for (const [rank, command] of commands.entries()) {
      process.kill(await command.worker(rank), 'SIGKILL');
      await commands[0].says(new RegExp(`rank ${rank} on host .*; 2 workers go on after`));
    }
    const ended = await Promise.all(commands.map((command) => command.ended));
    expect(ended.map(({ code }) => code)).toEqual([0, 0]);
    await place.train(1, ['distributed.bitwise=2', smallModel, 'epochs=6'], { out: 'alone' });
    expect(place.report('run').weightsSha256).toBe(place.report('alone').weightsSha256);
    expect(commands.flatMap((command) => command.alive())).toEqual([]);
    expect(place.leftovers()).toEqual([]);
  });

  it('ends with a checkpoint when its starter sends SIGTERM, in an elastic job', async () => {
    const port = String(await freePort());
    const commands = [0, 1].map((rank) =>
      place.start([...training, '--epochs', '500', '--out', 'run', '--elastic'], {
        ...{ RANK: String(rank), WORLD_SIZE: '2', LOCAL_RANK: String(rank) },
        ...{ MASTER_ADDR: '127.0.0.1', MASTER_PORT: port },
        ...paced(20),
      }),
    );
    await until('an epoch', () => place.epochs('run') || undefined);
    for (const { child } of commands) child.kill('SIGTERM');
    const ended = await Promise.all(commands.map((command) => command.ended));
    expect(
      ended.map(({ code }) => code),
      ended.map(({ stderr }) => stderr).join(),
    ).toEqual([75, 75]);
    expect(ended[0].lastLine).toMatch(/ended by SIGTERM with the checkpoint step-\d+/);
    expect(commands.flatMap((command) => command.alive())).toEqual([]);
  });
});
