import { statSync } from 'node:fs';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { paced, smallModel, soonMs, until, Workplace, type Command } from './command.js';
import { long } from '../needs.js';

const training = ['launch', '--backend', 'wasm', '--set', smallModel, '--epochs', '500', '--out', 'run'];

/** Expects the job to end soon, without processes or files left. */
async function endsSoon(command: Command, place: Workplace) {
  const started = performance.now();
  const ended = await command.ended;
  expect(performance.now() - started).toBeLessThan(soonMs);
  expect(ended.code).not.toBe(0);
  expect(command.alive()).toEqual([]);
  expect(place.leftovers()).toEqual([]);
  return ended;
}

describe('launch', () => {
  let place: Workplace;
  beforeEach(() => void (place = new Workplace()));
  afterEach(() => place.clear());

  const start = (...args: string[]) => place.start([...training, ...args], paced(30));

  async function namesTheKilled(milliseconds: number): Promise<void> {
    const command = start('--workers', '2');
    const victim = await command.worker(1);
    await delay(milliseconds);
    process.kill(victim, 'SIGKILL');
    const { code, lastLine } = await endsSoon(command, place);
    expect(code).toBe(1);
    expect(lastLine).toMatch(
      /rank 1 on host .*: killed by signal SIGKILL \(.*\); log: run\/logs\/rank-1\.log \(see /,
    );
    expect(lastLine).toContain(hostname());
  }
  it.each([0, 900])('names a worker that is killed %i ms after its start', namesTheKilled);
  it.each([150, 400, 2000])('names a worker that is killed %i ms after its start', long, namesTheKilled);

  const stall = ['--set', 'distributed.stallTimeoutSeconds=3'];

  it('names a worker that is suspended in training, after the stall time-out', async () => {
    const command = start('--workers', '2', ...stall);
    const victim = await command.worker(1);
    await until('a first epoch', () => (place.epochs('run') > 0 ? true : undefined));
    process.kill(victim, 'SIGSTOP');
    const stopped = performance.now();
    const { lastLine } = await endsSoon(command, place);
    expect(performance.now() - stopped).toBeGreaterThan(2500);
    const cause = `rank 1 on host .*stalled: no sign of life for .*\\(.*\\); log: run/logs/rank-1\\.log \\(see `;
    expect(lastLine).toMatch(new RegExp(cause));
  });

  it('names a worker that is suspended while it starts', async () => {
    const join = ['--set', 'distributed.joinTimeoutSeconds=10'];
    const command = start('--workers', '2', ...join);
    process.kill(await command.worker(1), 'SIGSTOP');
    const { code, lastLine } = await command.ended;
    expect(code).toBe(1);
    expect(lastLine).toMatch(/rank 1 did not join within 10 s: /);
    expect(command.alive()).toEqual([]);
    expect(place.leftovers()).toEqual([]);
  });

  it.each([1, 2])('names the rank and error when one of %i workers throws', async (workers) => {
    const blown = ['--set', 'learningRate={schedule: constant, rate: 1e6}'];
    const command = start('--workers', String(workers), ...blown);
    const { code, lastLine } = await command.ended;
    const ended = Date.now();
    expect(code).toBe(1);
    const cause =
      /rank (\d) on host .*: error (?:LOSS|GRADIENT)_NOT_FINITE: .*; log: (run\/logs\/rank-\1\.log) \(see /;
    expect(lastLine).toMatch(cause);
    const [, , log] = cause.exec(lastLine) as RegExpExecArray;
    expect(ended - statSync(place.path(log)).mtimeMs).toBeLessThan(soonMs);
    expect(command.alive()).toEqual([]);
    expect(place.leftovers()).toEqual([]);
  });

  it('leaves no worker when it is killed', async () => {
    const command = start('--workers', '3');
    await command.says(/epoch 1\/500/);
    expect(command.workers().size).toBe(3);
    command.child.kill('SIGKILL');
    const killed = performance.now();
    await until('the workers to end', () => (command.alive().length === 0 ? true : undefined));
    expect(performance.now() - killed).toBeLessThan(soonMs);
    expect(place.leftovers()).toEqual([]);
  });

  it('leaves no socket folder when it is killed while workers connect', async () => {
    const command = start('--workers', '3');
    await until('a folder', () => (place.leftovers().length > 0 ? true : undefined));
    expect(command.workers().size).toBe(3);
    command.child.kill('SIGKILL');
    await until('the workers to end', () => (command.alive().length === 0 ? true : undefined));
    expect(place.leftovers()).toEqual([]);
  });

  it.each([
    ['SIGINT', 130, '1', '30'],
    ['SIGTERM', 143, '1', '0'],
    ['SIGINT', 130, '2', '30'],
    ['SIGTERM', 143, '2', '0'],
  ] as const)('stops soon on %s with exit code %i, with %s workers and a grace of %s s', async (...given) => {
    const [signal, code, workers, grace] = given;
    const command = start('--workers', workers, '--grace', grace);
    await command.says(/epoch 1\/500/);
    command.child.kill(signal);
    const lastLine = `pod-dist: stopped by ${signal}; --resume goes on from the last checkpoint (see pod-dist explain STOPPED)`;
    expect(await endsSoon(command, place)).toMatchObject({ code, lastLine });
  });
});

describe('launch with a port in use', () => {
  it('ends with one line and exit code 2', async () => {
    const place = new Workplace();
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    try {
      const ended = await place.run('launch', '--workers', '2', '--port', String(port));
      expect(ended.code).toBe(2);
      expect(ended.lastLine).toMatch(new RegExp(`^pod-dist: port ${port} .* is in use: `));
    } finally {
      server.close();
      await place.clear();
    }
  });
});
