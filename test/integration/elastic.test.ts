import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { flip, slowDisk } from '../soak/inject.js';
import { asFlags, faulty, fewSteps, paced, smallModel, until, Workplace } from './command.js';

const run = promisify(execFile);
const training = ['launch', '--backend', 'wasm', '--workers', '2', '--out', 'run', '--elastic'];

/** Number of faults that every test run makes; `benchmarks/results/recovery.md` has the run of 1,000. */
const faults = 60;

describe('an elastic job', () => {
  let place: Workplace;
  beforeEach(() => void (place = new Workplace()));
  afterEach(() => place.clear());

  const steps = () =>
    existsSync(place.path('run/metrics.jsonl'))
      ? readFileSync(place.path('run/metrics.jsonl'), 'utf8').split('\n').length
      : 0;

  it(
    'ends with the weights and the record of an undisturbed job after faults in every phase',
    { timeout: 600_000 },
    async () => {
      const { stdout } = await run(process.execPath, [
        'dist/test/soak/soak.js',
        ...['--faults', String(faults), '--seed', '3', '--per-run', '30', '--variants', '1,2'],
        ...['--set', smallModel],
        // Most faults are lost connections, which start no process.
        ...['--disconnects', '0.75'],
      ]).catch((failed: { stdout: string; stderr: string }) => failed);
      const [, made] = /^(\d+) faults in/m.exec(stdout) ?? [];
      expect(Number(made), stdout).toBeGreaterThanOrEqual(faults);
      expect(stdout).not.toContain('FAILED');
    },
  );

  it('ends with the last fault when faults exceed the allowed rate', async () => {
    const command = place.start(
      [...training, '--epochs', '500', '--set', 'elastic.faultsPerWorkerHour=0.5'],
      paced(30),
    );
    await until('a step', () => (steps() > 1 ? true : undefined));
    process.kill(await command.worker(1), 'SIGKILL');
    const file = place.path('run/job/incidents.jsonl');
    const incident = () => (existsSync(file) ? readFileSync(file, 'utf8') : '').match(/.*(?=\n)/)?.[0];
    expect(JSON.parse(await until('an incident', incident))).toMatchObject({
      code: 'KILLED',
      rank: 1,
      generation: 1,
      worldSize: 2,
    });
    const before = steps();
    await until('more steps', () => (steps() > before ? true : undefined));
    process.kill(await command.worker(0), 'SIGKILL');
    const { code, lastLine } = await command.ended;
    expect(code).toBe(1);
    expect(lastLine).toMatch(/rank 0 on host .*: killed by signal SIGKILL/);
    expect(command.alive()).toEqual([]);
    expect(place.leftovers()).toEqual([]);
  });

  it('continues with one worker after a loss, and with two once a replacement has joined', async () => {
    const args = [...training.slice(0, 3), '--workers', '1:2', '--out', 'run', '--epochs', '500'];
    const command = place.start(args, paced(30));
    await until('an epoch', () => (place.epochs('run') > 0 ? true : undefined));
    process.kill(await command.worker(1), 'SIGKILL');
    await command.says(/1 worker goes on after .* but for rounding/);
    await command.says(/2 workers are there; 2 workers go on/);
    command.child.kill('SIGTERM');
    expect((await command.ended).code).toBe(75);
  });

  it('ends at a fault before its first step, and at Ctrl-C, without leftovers', async () => {
    const early = place.start([...training, '--epochs', '500']);
    process.kill(await early.worker(1), 'SIGKILL');
    const { code, lastLine } = await early.ended;
    expect(code).toBe(1);
    expect(lastLine).toMatch(/rank 1 on host .*: killed by signal SIGKILL/);

    const args = [...training.slice(0, -2), 'again', '--elastic', '--spares', '1', '--epochs', '500'];
    const command = place.start(args);
    await until('a checkpoint', () => (place.epochs('again') > 0 ? true : undefined));
    command.child.kill('SIGINT');
    expect(await command.ended).toMatchObject({ code: 130 });
    expect(command.alive()).toEqual([]);
    expect(place.leftovers()).toEqual([]);
  });

  it('keeps an evaluation that a slow disk writes only after the next generation has begun', async () => {
    const orders = place.path('orders');
    mkdirSync(orders);
    writeFileSync(join(orders, slowDisk), '');
    const settings = ['--epochs', '20', ...asFlags(['checkpoint.keep=100', ...fewSteps])];
    const command = place.start([...training, ...settings], { ...paced(100), ...faulty(orders) });
    await until('a slow write', () => (readdirSync(orders).length === 0 ? true : undefined));
    process.kill(await command.worker(1), 'SIGKILL');
    const { code, stdout, stderr } = await command.ended;
    expect(stdout + stderr).not.toMatch(/cannot write/);
    expect(code).toBe(0);
    expect(place.checkpoints('run').length).toBe(20);
    for (const name of place.checkpoints('run'))
      expect(existsSync(place.path('run/checkpoints', name, 'evaluation.json')), name).toBe(true);
  });

  it('replaces a worker that is stopped (SIGSTOP) before it has a rank', async () => {
    const orders = place.path('orders');
    mkdirSync(orders);
    const settings = ['--epochs', '20', ...asFlags(fewSteps)];
    const command = place.start([...training, ...settings], { ...paced(100), ...faulty(orders) });
    await until('a step', () => (steps() > 1 ? true : undefined));
    writeFileSync(join(orders, 'start.stop'), '');
    process.kill(await command.worker(1), 'SIGKILL');
    const { code, stdout, stderr } = await command.ended;
    expect(readdirSync(orders)).toEqual([]);
    expect(code, stderr).toBe(0);
    expect(stdout + stderr).toContain('2 workers go on after');
    expect(command.alive()).toEqual([]);
  });

  it('ends with SILENT_CORRUPTION and names the rank whose replayed step differs', async () => {
    const orders = place.path('orders');
    mkdirSync(orders);
    const settings = ['--workers', '3', '--batch-size', '6', '--set', 'elastic.snapshotSteps=100000'];
    const command = place.start(
      ['launch', '--backend', 'wasm', ...settings, '--out', 'run', '--elastic'],
      faulty(orders),
    );
    await until('ten steps', () => (steps() > 10 ? true : undefined));
    writeFileSync(join(orders, flip), '');
    const flipped = await until('the fault', () =>
      readdirSync(orders)
        .filter((name) => name.startsWith('flipped-'))
        .map((name) => Number(name.slice(8)))
        .at(0),
    );
    const other = [0, 1, 2].find((rank) => rank !== flipped) as number;
    process.kill(await command.worker(other), 'SIGKILL');
    const { code, lastLine } = await command.ended;
    expect(code).toBe(1);
    expect(lastLine).toMatch(
      new RegExp(`rank ${flipped} on host .*: error SILENT_CORRUPTION: it has come to other values`),
    );
    expect(command.alive()).toEqual([]);
  });
});
