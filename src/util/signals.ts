import { readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { isatty } from 'node:tty';
import { StoppedError } from './errors.js';

/**
 * Signals that ask a process to end, and the exit codes that shells give for them.
 *
 * SIGUSR1 and SIGUSR2 are what Slurm's `--signal` sends before a job's time is over: they end it in order, too. Without a
 * listener Node opens its debugger on a port at SIGUSR1.
 */
const exitCodes = {
  SIGINT: 130,
  SIGTERM: 143,
  SIGHUP: 129,
  SIGQUIT: 131,
  SIGUSR1: 138,
  SIGUSR2: 140,
} as const;

/** Milliseconds that work in this process may take to end after it was asked to stop. */
const endWithinMs = 3000;

type EndSignal = keyof typeof exitCodes;

const signals = Object.keys(exitCodes) as EndSignal[];

let followers = 0;

/** The exit code of a job that `signal` has stopped. */
export function exitCodeOf(signal: string | undefined): number {
  return exitCodes[signal as EndSignal] ?? 1;
}

/**
 * Handles signals for every command that does not follow them itself. SIGHUP is ignored where the command was started
 * to outlive a hang-up, as by `nohup`; SIGUSR1 ends the command. All other signals do so too in the first process of a
 * container, which they would not reach otherwise, and in a command that may outlive its terminal: Node's own end by a
 * signal aborts once the terminal is closed.
 */
export function guardSignals(): void {
  const ignored = hangUpIsIgnored();
  if (ignored) process.on('SIGHUP', () => {});
  const outlives = ignored && [0, 1, 2].some((file) => isatty(file));
  const names = process.pid === 1 || outlives ? signals : (['SIGUSR1'] as const);
  for (const name of names) {
    if (name === 'SIGHUP' && ignored) continue;
    process.on(name, () => {
      if (followers === 0) process.exit(exitCodes[name]);
    });
  }
}

/** Leaves everything that a terminal, or Slurm, sends to a whole job to the launcher, which ends its workers itself. */
export function leaveSignalsToLauncher(): void {
  followers++;
  for (const name of signals) if (name !== 'SIGTERM') process.on(name, () => {});
}

/** Calls `listener` with every signal to end, none of which ends this process any more until `stop` is called. */
export function followSignals(listener: (signal: EndSignal) => void): { stop(): void } {
  const followed = signals.filter((name) => name !== 'SIGHUP' || !hangUpIsIgnored());
  followers++;
  for (const name of followed) process.on(name, listener);
  return {
    stop: () => {
      followers--;
      followed.forEach((name) => process.off(name, listener));
    },
  };
}

/** Calls `pause` at Ctrl-Z, or SIGTSTP to this process alone, before this process is stopped, and once it is continued. */
export function followSuspension(pause: (paused: boolean) => void): { stop(): void } {
  if (process.platform === 'win32') return { stop: () => {} };
  const suspend = () => {
    pause(true);
    process.kill(process.pid, 'SIGSTOP');
  };
  const resume = () => pause(false);
  process.on('SIGTSTP', suspend).on('SIGCONT', resume);
  return { stop: () => void process.off('SIGTSTP', suspend).off('SIGCONT', resume) };
}

/** Calls its listener at each request to end, with the name of its cause, such as a signal's; `stop` ends that. */
export type StopSource = (listener: (by?: string) => void) => { stop(): void };

/** Source that never asks for the end. */
export const neverStopping: StopSource = () => ({ stop: () => {} });

/** Requests that end a job in order, with a checkpoint. */
export const endCauses = ['SIGTERM', 'SIGUSR1', '--max-time'] as const;
export type EndCause = (typeof endCauses)[number];

/** How a job follows requests to end. */
export interface EndRules {
  /** Seconds that it has after SIGTERM or SIGUSR1 to end in order; 0: it stops at once. */
  graceSeconds: number;
  /** Seconds from the start of this process after which it is to end in order. */
  maxSeconds?: number;
}

/** Requests to end a job: `ending` in order, with an `EndCause` as its reason; `stopping` at once. */
export interface EndRequests {
  ending: AbortSignal;
  stopping: StopSource;
}

/** Most milliseconds that a timer of Node can wait. */
const longestTimerMs = 2 ** 31 - 1;

/**
 * Requests to end a job: `ending` is aborted, with an `EndCause` as its reason, where it is to end in order; the listeners of
 * `stopping` are called where it is to stop at once: at every other signal, and where the grace is over. A signal that comes
 * once more within the grace, as from a launcher that passes it on to all processes, changes nothing. Both begin with the
 * first listener of `stopping`.
 */
export function endRequests({ graceSeconds, maxSeconds }: EndRules): EndRequests {
  const ending = new AbortController();
  const stopping: StopSource = (listener) => {
    let grace: NodeJS.Timeout | undefined;
    const limit =
      maxSeconds === undefined ? undefined : atUptime(maxSeconds, () => ending.abort('--max-time'));
    const following = followSignals((name) => {
      if ((name !== 'SIGTERM' && name !== 'SIGUSR1') || graceSeconds === 0) return listener(name);
      grace ??= setTimeout(() => listener(name), Math.min(graceSeconds * 1000, longestTimerMs)).unref();
      ending.abort(name satisfies EndCause);
    });
    return {
      stop: () => {
        clearTimeout(grace);
        limit?.clear();
        following.stop();
      },
    };
  };
  return { ending: ending.signal, stopping };
}

/** Calls `listener` once this process is so many seconds old; does not keep it alive. */
function atUptime(seconds: number, listener: () => void): { clear(): void } {
  let timer: NodeJS.Timeout;
  const wait = () => {
    const leftMs = 1000 * (seconds - process.uptime());
    if (leftMs <= 0) listener();
    else timer = setTimeout(wait, Math.min(leftMs, longestTimerMs)).unref();
  };
  timer = setTimeout(wait, 0).unref();
  return { clear: () => clearTimeout(timer) };
}

/**
 * Runs work that ends by itself when its `AbortSignal` is aborted. The first signal to this process aborts it, with
 * the signal's name as the reason. Rejects with `StoppedError` at a second signal, or where the work takes longer than
 * three seconds to end: the process is to exit then.
 */
export async function untilSignal<T>(
  work: (stop: AbortSignal) => Promise<T>,
  source: StopSource = followSignals,
): Promise<T> {
  const stop = new AbortController();
  let giveUp: (error: StoppedError) => void;
  const givenUp = new Promise<never>((_, reject) => (giveUp = reject));
  const following = source((name) => {
    if (stop.signal.aborted) return giveUp(new StoppedError(name));
    stop.abort(name);
    void delay(endWithinMs, undefined, { ref: false }).then(() => giveUp(new StoppedError(name)));
  });
  try {
    return await Promise.race([work(stop.signal), givenUp]);
  } finally {
    following.stop();
  }
}

/**
 * Whether this command is to outlive its terminal. Node gives every signal its default meaning back when it starts,
 * also SIGHUP after `nohup` or `trap '' HUP`; so this looks for their traces: the shell's name of the command, a
 * standard input that can only be written, an output file of that name, a parent that ignores SIGHUP.
 */
function hangUpIsIgnored(): boolean {
  if (/(^|\/)nohup$/.test(process.env._ ?? '')) return true;
  try {
    if (/\/nohup\.out$/.test(readlinkSync('/proc/self/fd/1'))) return true;
    const input = /^flags:\s*(\d+)/m.exec(readFileSync('/proc/self/fdinfo/0', 'utf8'))?.[1] ?? '0';
    if (readlinkSync('/proc/self/fd/0') === '/dev/null' && (parseInt(input, 8) & 3) === 1) return true;
    const ofParent = readFileSync(`/proc/${process.ppid}/status`, 'utf8');
    const mask = /^SigIgn:\s*([0-9a-f]+)/m.exec(ofParent)?.[1] ?? '0';
    return (BigInt(`0x${mask}`) & 1n) === 1n;
  } catch {
    return false;
  }
}
