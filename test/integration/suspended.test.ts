import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { paced, smallModel, until, Workplace } from './command.js';
import { needs } from '../needs.js';

const training = ['launch', '--backend', 'wasm', '--epochs', '500', '--out', 'run', '--workers', '2'];
const short = ['distributed.stallTimeoutSeconds=3', 'distributed.collectiveTimeoutSeconds=4'];
const settings = [smallModel, ...short].flatMap((setting) => ['--set', setting]);

/** Longer than the time-outs for stalls and collectives. */
const pauseMs = 7000;

const isStopped = (pid: number) => /\) T/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));

describe('a suspended job', needs('Linux', process.platform === 'linux'), () => {
  let place: Workplace;
  beforeEach(() => void (place = new Workplace()));
  afterEach(() => place.clear());

  it('continues after SIGSTOP of all processes and SIGTSTP of the launcher, and ends in order on SIGUSR1', async () => {
    const command = place.start([...training, ...settings], paced(30), ['setsid']);
    const launcher = command.child.pid as number;
    const trained = (epochs: number) =>
      until('more epochs', () => place.epochs('run') >= epochs || undefined);
    await trained(1);
    const workers = [...command.workers().values()];

    for (const [stop, target] of [
      ['SIGSTOP', -launcher],
      ['SIGTSTP', launcher],
    ] as const) {
      process.kill(target, stop);
      await until('all to stand', () => [launcher, ...workers].every(isStopped) || undefined);
      const before = place.epochs('run');
      await delay(pauseMs);
      expect(place.epochs('run')).toBe(before);
      process.kill(target, 'SIGCONT');
      await trained(before + 2);
    }

    process.kill(launcher, 'SIGUSR1');
    const { code, lastLine } = await command.ended;
    expect(code).toBe(75);
    expect(lastLine).toMatch(
      /^pod-dist: ended by SIGUSR1 with the checkpoint \S+; --resume --out run goes on/,
    );
    expect(command.alive()).toEqual([]);
    expect(place.leftovers()).toEqual([]);
  });
});
