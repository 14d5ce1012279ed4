import { fork, type ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { devicesOf } from '../backend/backends.js';
import type { Config } from '../config/schema.js';
import { launchVariables, type JobEnvironment } from '../job/join/environment.js';
import { firstBesideTasks } from '../job/coordinator/roster.js';
import { wouldComeAgain } from '../job/coordinator/failure.js';
import { meetCoordinator, type JoinJobOptions, type Met } from '../job/join/join-job.js';
import type { EndMessage } from '../job/launch/end-with-parent.js';
import { findSuccessor, folderOfJob, isThere } from '../job/member/succession.js';
import { runningClock } from '../util/running-clock.js';
import type { WorkStop } from '../job/launch/stop-worker.js';
import { workerEnvironment, workerFlags } from '../job/launch/supervisor.js';
import { errorOf, jobEndSchema, type JobEnd } from '../record/job-end.js';
import type { Report } from '../record/records.js';
import type { ErrorCode } from '../util/error-codes.js';
import { PodDistError } from '../util/errors.js';
import { isStopped } from '../util/processes.js';
import type { EndCause } from '../util/signals.js';

export interface KeepOptions {
  join: JoinJobOptions;
  /** The job that is under way already, where this task is started again. */
  underWay?: Met;
  config: Config;
  place: JobEnvironment;
  threads: number;
  /** Arguments of the command that works as this rank. */
  args: readonly string[];
  stop: WorkStop;
  say(line: string): void;
}

/** Last message of a worker to the process that keeps its place. */
export type KeptOutcome = { report: Report | undefined } | { ended: JobEnd };

/** Message of a worker whose coordinator was lost: where the next one is. */
export interface Moved {
  moved: string;
}

/** Milliseconds that a worker may be stopped before it is killed, so that the others go on. */
const stoppedMs = 5000;
const lookEveryMs = 500;
/** Milliseconds before a worker is started again that has lived shortly: doubled each time. */
const firstCoolDownMs = 10_000;
const longestCoolDownMs = 600_000;
const shortLifeMs = 20_000;

/**
 * Keeps a rank's place in an elastic job that torchrun, Slurm or MPI has started: the worker is a process of its own below
 * this one. Where it is lost, another one is started, so that nothing of its end reaches torchrun, Slurm or MPI, which
 * would end the whole job. In rank 0 the coordinator runs here; where this process is lost, a worker of another rank starts
 * the process that takes over, and where that has happened while this one was stopped, it goes on as that of any other rank.
 * A task that is started again while the job is under way takes part in that: as a spare at first, which gets its rank back.
 *
 * @returns the run's report in rank 0
 * @throws what the worker has ended with, where the job does not go on from that
 */
export async function keepWorker(options: KeepOptions): Promise<Report | undefined> {
  const { own, address, token } = options.underWay ?? (await meetCoordinator(options.join));
  const keeper = new WorkerKeeper(options, { address, token });
  try {
    const settled = own ? own.settled.then(() => own.failure()) : new Promise<never>(() => {});
    const failed = settled.then((cause) => (cause ? Promise.reject(cause) : new Promise<never>(() => {})));
    const report = await Promise.race([keeper.run(), failed]);
    return own ? await own.finished(report) : report;
  } catch (error) {
    // The other ranks end as well, and hear of it from the coordinator.
    await own?.failure();
    throw error;
  } finally {
    await keeper.close();
    await own?.stop();
  }
}

/** Codes of ends of the whole job. */
const codesOfJob = new Set<ErrorCode>(['JOB_ABORTED', 'JOIN_REFUSED', 'JOIN_TIMEOUT', 'COORDINATOR_LOST']);

/** Whether a worker has ended with its job, and not by a fault of its own that the others go on from. */
function isFinal({ kind, code }: JobEnd): boolean {
  return kind !== 'failure' || codesOfJob.has(code) || wouldComeAgain(code);
}

function coordinatorLost(): PodDistError {
  return new PodDistError('COORDINATOR_LOST', 'the coordinator, in the process of rank 0, has ended');
}

/** One worker of a task: its number in the job, whether it has no rank yet, and the number of the one before it. */
interface Life {
  worker: number;
  spare: boolean;
  replaces: number | undefined;
}

class WorkerKeeper {
  private child: ChildProcess | undefined;
  private closed = false;
  private readonly ended = new AbortController();
  private coolDownMs = firstCoolDownMs;

  constructor(
    private readonly options: KeepOptions,
    private readonly coordinator: { address: string; token: string },
  ) {
    const { stop } = options;
    stop.ending?.addEventListener('abort', () => this.passEnd());
    stop.member = {
      fail: async () => this.send({ stop: String(stop.signal?.reason ?? '') }),
    };
  }

  /** Starts the worker until it ends well, or for good. */
  async run(): Promise<Report | undefined> {
    const { place, say, underWay } = this.options;
    const { worldSize, rank } = place;
    // Numbers of a task's workers are not known to the same task that is started again: it draws others.
    const first = underWay ? 1 + randomInt(Math.ceil(firstBesideTasks / worldSize / 2)) : 0;
    for (let life = first; ; life++) {
      const began = performance.now();
      const { outcome, how } = await this.live({
        worker: rank + life * worldSize,
        spare: life > 0,
        replaces: life > first ? rank + (life - 1) * worldSize : undefined,
      });
      if (outcome && 'report' in outcome) return outcome.report;
      if (outcome && isFinal(outcome.ended)) throw errorOf(outcome.ended);
      if (this.closed) throw new PodDistError('JOB_ABORTED', 'the job has ended');
      const wait = performance.now() - began < shortLifeMs && life > first ? this.coolDownMs : 0;
      say(`rank ${rank}: its worker ${how}; another one starts${wait > 0 ? ` in ${wait / 1000} s` : ''}`);
      if (wait > 0) this.coolDownMs = Math.min(longestCoolDownMs, 2 * this.coolDownMs);
      await delay(wait);
      if (!(await this.findCoordinator())) throw outcome ? errorOf(outcome.ended) : coordinatorLost();
    }
  }

  /** Whether there is a coordinator, be it another one than before. */
  private async findCoordinator(): Promise<boolean> {
    const { join, place } = this.options;
    const { address, token } = this.coordinator;
    if (await isThere(address)) return true;
    const folder = folderOfJob([join.outDir || undefined], token);
    if (folder === undefined) return false;
    this.coordinator.address = await findSuccessor({
      ...{ folder, token, addresses: [], term: 0, order: place.rank, silent: false },
      ...{ since: runningClock.now(), signal: this.ended.signal },
    });
    return true;
  }

  /** Ends the worker, at once. */
  async close(): Promise<void> {
    this.closed = true;
    this.ended.abort();
    const { child } = this;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  /** One worker from its start to its end; `outcome` is undefined where it was lost. */
  private async live(life: Life) {
    const child = await this.start(life);
    let outcome: KeptOutcome | undefined;
    child.on('message', (message: KeptOutcome | Moved) => {
      if ('moved' in message) this.coordinator.address = message.moved;
      else if ('ended' in message) outcome = { ended: jobEndSchema.parse(message.ended) };
      // A worker that was not needed has none.
      else outcome = { report: message.report };
    });
    const watching = this.watch(child);
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    clearInterval(watching);
    return { outcome, how: signal ? `was killed by signal ${signal}` : `has ended with exit code ${code}` };
  }

  /** Kills a worker that stays stopped, unless this process was stopped with it. */
  private watch(child: ChildProcess): NodeJS.Timeout {
    let stoppedFor = 0;
    return setInterval(() => {
      stoppedFor = child.pid !== undefined && isStopped(child.pid) ? stoppedFor + lookEveryMs : 0;
      if (stoppedFor >= stoppedMs) child.kill('SIGKILL');
    }, lookEveryMs);
  }

  private async start({ worker, spare, replaces }: Life): Promise<ChildProcess> {
    const { place, config, threads, args } = this.options;
    const { rank, worldSize, localRank, localWorldSize } = place;
    const { address, token } = this.coordinator;
    const script = fileURLToPath(new URL('../../launcher/cli.js', import.meta.url));
    const environment = {
      ...(await devicesOf(config.backend).ofLocalRank(localRank)),
      RANK: String(rank),
      WORLD_SIZE: String(worldSize),
      LOCAL_RANK: String(localRank),
      LOCAL_WORLD_SIZE: String(localWorldSize),
      [launchVariables.address]: address,
      [launchVariables.token]: token,
      [launchVariables.worker]: String(worker),
      [launchVariables.threads]: String(threads),
      [launchVariables.kept]: rank === 0 || args.includes('--out') ? '1' : '0',
      ...(spare && { [launchVariables.spare]: '1' }),
      ...(replaces !== undefined && { [launchVariables.replaces]: String(replaces) }),
    };
    // A session of its own: signals to a whole process group are this process's to pass on.
    const child = fork(script, [...args], {
      env: { ...process.env, ...workerEnvironment, ...environment },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      execArgv: workerFlags(),
      detached: true,
    });
    await once(child, 'spawn');
    this.child = child;
    this.passEnd();
    return child;
  }

  /** Asks the worker to end in order where this process was asked to. */
  private passEnd(): void {
    const { ending } = this.options.stop;
    if (ending?.aborted) this.send({ end: ending.reason as EndCause });
  }

  private send(message: EndMessage): void {
    if (this.child?.connected) this.child.send(message, () => {});
  }
}
