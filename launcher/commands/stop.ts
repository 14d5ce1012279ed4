import { setTimeout as delay } from 'node:timers/promises';
import type { ArgumentsCamelCase, Argv, CommandModule } from 'yargs';
import { jobUnderWay, type JobState } from '../../src/record/job-state.js';
import { holderOf, isHere, type Holder } from '../../src/record/run-lock.js';
import { readRunStatus } from '../../src/record/run-status.js';
import { UserError } from '../../src/util/errors.js';
import { isRunning, processSpace } from '../../src/util/processes.js';
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

/**
 * Asks the process that holds the run folder to end, and waits for its end. Where another process takes an elastic job over
 * before that, it is asked too.
 */
async function stop({ run, now, wait }: ArgumentsCamelCase<StopArguments>): Promise<void> {
  if (!(wait >= 0)) throw new UserError('USAGE', 'give --wait a number of seconds, such as 60');
  readRunStatus(run);
  const job = jobUnderWay(run)?.id;
  const deadline = performance.now() + 1000 * wait;
  let asked: Holder | undefined;
  for (;;) {
    const holder = holderOf(run);
    const state = jobUnderWay(run);
    const sameJob = state?.id === job ? state : undefined;
    if (!holder && !(sameJob && willBeTaken(sameJob))) break;
    if (holder && holder.pid !== asked?.pid) {
      if (asked && !sameJob) break;
      if (!sameJob || listens(sameJob, holder)) {
        signal(run, holder, now ? 'SIGINT' : 'SIGTERM');
        asked = holder;
      }
    }
    if (performance.now() > deadline) throw late(run, holder, wait);
    await delay(lookEveryMs);
  }
  if (!asked) {
    process.stdout.write(`${run}: no process works on it\n`);
    return;
  }
  const { epochs, steps } = readRunStatus(run);
  process.stdout.write(
    `${run}: ${nameOf(asked)} has ended after ${epochs} epochs and ${steps} steps; pod-dist launch --resume --out ${run} goes on\n`,
  );
}

/** Whether a worker will start another process for an elastic job that none leads. */
function willBeTaken({ agent, workers }: JobState): boolean {
  return agent.machine === processSpace() && workers.some(isRunning);
}

/** Whether a process that holds the folder of an elastic job takes signals yet, as it does once it tells its address. */
function listens({ agent, address }: JobState, holder: Holder): boolean {
  return agent.pid === holder.pid && address !== undefined;
}

function signal(run: string, holder: Holder, name: NodeJS.Signals): void {
  const held = `${run} is held by ${nameOf(holder)}`;
  if (!isHere(holder)) throw new UserError('RUN_BUSY', `${held}: stop it there`);
  try {
    process.kill(holder.pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EPERM')
      throw new UserError('RUN_BUSY', `${held}, another user's: only that user may stop it`);
  }
}

function late(run: string, holder: Holder | undefined, wait: number): UserError {
  const who = holder ? nameOf(holder) : 'the job';
  return new UserError('RUN_BUSY', `${run}: ${who} has not ended within ${wait} s: wait, or give --now`);
}

function nameOf({ pid, host }: Holder): string {
  return `process ${pid} on host ${host}`;
}
