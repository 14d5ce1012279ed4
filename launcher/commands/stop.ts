import { setTimeout as delay } from 'node:timers/promises';
import type { ArgumentsCamelCase, Argv, CommandModule } from 'yargs';
import { holderOf, isHere } from '../../src/record/run-lock.js';
import { readRunStatus } from '../../src/record/run-status.js';
import { UserError } from '../../src/util/errors.js';
import { summaries } from '../summaries.js';

interface StopArguments {
  run: string;
  now: boolean;
  wait: number;
}

const lookEveryMs = 100;

export const stopCommand: CommandModule<object, StopArguments> = {
  command: 'stop <run>',
  describe: summaries.stop,
  builder: (yargs) =>
    yargs
      .positional('run', { type: 'string', demandOption: true, describe: 'run folder' })
      .option('now', {
        type: 'boolean',
        default: false,
        describe: 'write no checkpoint first: --resume then goes on from the newest one',
      })
      .option('wait', {
        type: 'number',
        default: 60,
        requiresArg: true,
        describe: 'seconds to wait for its end',
      })
      .example(
        '$0 stop runs/digits',
        'end it after the step under way, with a checkpoint',
      ) as Argv<StopArguments>,
  handler: stop,
};

async function stop({ run, now, wait }: ArgumentsCamelCase<StopArguments>): Promise<void> {
  readRunStatus(run);
  const holder = holderOf(run);
  if (!holder) {
    process.stdout.write(`${run}: no process works on it\n`);
    return;
  }
  const who = `process ${holder.pid} on host ${holder.host}`;
  if (!isHere(holder)) throw new UserError('RUN_BUSY', `${run} is held by ${who}: stop it there`);
  signal(holder.pid, now ? 'SIGINT' : 'SIGTERM', `${run} is held by ${who}`);
  const deadline = performance.now() + 1000 * wait;
  while (holderOf(run)?.pid === holder.pid) {
    if (performance.now() > deadline)
      throw new UserError('RUN_BUSY', `${run}: ${who} has not ended within ${wait} s: wait, or give --now`);
    await delay(lookEveryMs);
  }
  const { epochs, steps } = readRunStatus(run);
  process.stdout.write(
    `${run}: ${who} has ended after ${epochs} epochs and ${steps} steps; pod-dist launch --resume --out ${run} goes on\n`,
  );
}

function signal(pid: number, name: NodeJS.Signals, what: string): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EPERM')
      throw new UserError('RUN_BUSY', `${what}, another user's: only that user may stop it`);
  }
}
