import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Report } from '../../record/records.js';
import { errorOf } from '../../record/job-end.js';
import { readJobState, type JobState } from '../../record/job-state.js';
import { holderOf, isHere } from '../../record/run-lock.js';
import type { RunListener } from '../../record/run-record.js';
import { PodDistError, StoppedError, UserError } from '../../util/errors.js';
import { isRunning, processSpace, signalProcess, type ProcessIdentity } from '../../util/processes.js';
import { followSuspension, type EndCause, type StopSource } from '../../util/signals.js';
import { feedEvent, readLine, type FeedEvent, type FeedOrder } from './feed-messages.js';

export interface FollowHooks {
  /** Called with lines for people. */
  notify(line: string): void;
  /** Called after `notify`, with a line for each problem that the run goes on with. */
  incident?(line: string): void;
  listeners: readonly RunListener[];
  /** Source of requests to stop the run at once; default: this process leaves the run alone. */
  stopping?: StopSource;
  /** Asks for its end after the step under way; its reason is an `EndCause`. */
  ending?: AbortSignal;
  /** The agent that was started for the run, until it has told of itself; default: the run's own. */
  started?: { pid: number };
  /** Starts another agent where none is left of the job; default: that is its end. */
  restart?(lostAt: number): void;
}

const lookEveryMs = 50;
/** Milliseconds that an agent may take to end after its last word. */
const leaveWithinMs = 5000;
/** Milliseconds that another agent may take to take a run over. */
const successionWithinMs = 60_000;
/** Milliseconds after which the launcher starts one itself, though workers run: these may have no rank, or be stopped. */
const restartAfterMs = 5000;

/**
 * Follows a run that an agent of this host trains, until it ends. Where the agent is lost, it follows the one that takes
 * over. It follows no further after SIGHUP.
 *
 * @returns the run's report
 * @throws UserError, StoppedError, PreemptedError, PodDistError: what the run has ended with
 */
export async function followRun(folder: string, hooks: FollowHooks): Promise<Report> {
  let last: Following | undefined;
  let asked: FeedOrder | undefined;
  const order = (one: FeedOrder) => {
    asked = one;
    last?.order(one);
  };
  let leave: (error: StoppedError) => void = () => {};
  const left = new Promise<never>((_, reject) => (leave = reject));
  left.catch(() => {});
  const following = hooks.stopping?.((by = '') => {
    // The terminal is gone, and the run goes on without it.
    if (by === 'SIGHUP') leave(new StoppedError(by));
    else order({ stop: by });
  });
  const suspending =
    hooks.stopping &&
    followSuspension((paused) => {
      if (last) signalProcess(last.agent, paused ? 'SIGTSTP' : 'SIGCONT');
    });
  const end = () => order({ end: hooks.ending?.reason as EndCause });
  hooks.ending?.addEventListener('abort', end);
  try {
    for (let term = 0; ;) {
      const finding = term === 0 ? findAgent(folder, hooks.started) : findSuccessor(folder, term, hooks);
      const state = await Promise.race([finding, left]);
      last = new Following(state, hooks);
      if (hooks.ending?.aborted) end();
      else if (asked) last.order(asked);
      const event = await Promise.race([last.ended, left]);
      if (event) {
        await last.left();
        return outcome(event);
      }
      const { ended } = readJobState(folder) ?? {};
      if (ended) throw errorOf(ended);
      hooks.notify('the process that runs the job is lost: another one takes over');
      term = state.term + 1;
    }
  } finally {
    following?.stop();
    suspending?.stop();
    hooks.ending?.removeEventListener('abort', end);
    last?.close();
  }
}

/** State of the job's agent, once it listens. */
async function findAgent(folder: string, started?: { pid: number }): Promise<JobState> {
  for (;;) {
    const state = readJobState(folder);
    const own = !started || state?.agent.pid === started.pid;
    if (state && own && state.socket !== undefined && isRunning(state.agent)) return state;
    if (state && own && state.ended) throw errorOf(state.ended);
    if (!isRunning(started ? { ...started, started: null } : (state?.agent ?? nobody)))
      throw new PodDistError(
        'COORDINATOR_LOST',
        `the process that runs the job has ended; it may have said why in ${join(folder, 'logs', 'job.log')}`,
      );
    await delay(lookEveryMs);
  }
}

/** State of an agent that has taken the job over, of this term or a later one, once it listens. */
async function findSuccessor(folder: string, term: number, { restart }: FollowHooks): Promise<JobState> {
  const lostAt = Date.now();
  const began = performance.now();
  let restarted = false;
  while (performance.now() < began + successionWithinMs) {
    const state = readJobState(folder);
    const taken = state !== undefined && state.term >= term;
    if (taken && state.agent.machine !== processSpace())
      throw new PodDistError(
        'COORDINATOR_LOST',
        `the run goes on on host ${state.agent.host}: pod-dist attach ${folder} follows it there`,
      );
    if (taken && state.socket !== undefined && isRunning(state.agent)) return state;
    if (state?.ended) throw errorOf(state.ended);
    const left = state?.workers.some(isRunning) ?? false;
    if (!left && !restart) break;
    if (restart && !restarted && (!left || performance.now() > began + restartAfterMs)) {
      restarted = true;
      restart(lostAt);
    }
    await delay(lookEveryMs);
  }
  throw new PodDistError(
    'COORDINATOR_LOST',
    `no process is left of the job in ${folder}: pod-dist launch --resume goes on from its newest checkpoint`,
  );
}

const nobody = { pid: -1, started: '' };

/**
 * The agent of a run that is under way.
 *
 * @throws UserError `RUN_NOT_FOUND` where nobody trains it, `RUN_BUSY` where it is one of another host, or none that can be
 *   followed
 */
export function agentOf(folder: string): JobState {
  const state = readJobState(folder);
  const holder = holderOf(folder);
  if (!holder) throw new UserError('RUN_NOT_FOUND', `${folder}: no process works on it`);
  const who = `process ${holder.pid} on host ${holder.host}`;
  if (!isHere(holder)) throw new UserError('RUN_BUSY', `${folder} is held by ${who}: give the command there`);
  if (state?.socket === undefined || state.agent.pid !== holder.pid)
    throw new UserError(
      'RUN_BUSY',
      `${folder} is held by ${who}, which cannot be followed: it is not elastic`,
    );
  return state;
}

type Outcome = Extract<FeedEvent, { report: unknown } | { ended: unknown }>;

/** A connection to an agent. */
class Following {
  /** Resolves with how the run has ended; undefined: the agent has ended without a word. */
  readonly ended: Promise<Outcome | undefined>;
  readonly agent: ProcessIdentity;
  private readonly socket: Socket;

  constructor({ socket = '', agent }: JobState, hooks: FollowHooks) {
    this.agent = agent;
    this.socket = connect(socket);
    this.socket.on('error', () => {});
    this.ended = this.read(hooks);
    this.order({ follow: true });
  }

  order(order: FeedOrder): void {
    this.socket.write(`${JSON.stringify(order)}\n`);
  }

  close(): void {
    this.socket.destroy();
  }

  /** Resolves once the agent has ended, which it does after its last word. */
  async left(): Promise<void> {
    this.close();
    const deadline = performance.now() + leaveWithinMs;
    while (isRunning(this.agent) && performance.now() < deadline) await delay(lookEveryMs);
  }

  private async read(hooks: FollowHooks): Promise<Outcome | undefined> {
    let outcome: Outcome | undefined;
    const lines = createInterface({ input: this.socket });
    lines.on('error', () => {});
    lines.on('line', (line) => {
      const event = readLine(feedEvent, line);
      if (!event) return;
      if ('report' in event || 'ended' in event) outcome = event;
      else tell(event, hooks);
    });
    // Also after an error, such as a connection that an agent's end has reset.
    await new Promise((resolve) => this.socket.once('close', resolve));
    return outcome;
  }
}

function tell(event: Exclude<FeedEvent, Outcome>, { notify, incident, listeners }: FollowHooks): void {
  if ('line' in event) {
    notify(event.line);
    if (event.incident) incident?.(event.line);
    return;
  }
  if (!('call' in event)) return;
  for (const listener of listeners)
    (listener[event.call] as ((...args: unknown[]) => void) | undefined)?.apply(listener, event.args);
}

function outcome(event: Outcome): Report {
  if ('report' in event) return event.report as unknown as Report;
  throw errorOf(event.ended);
}
