import { mkdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Config } from '../../config/schema.js';
import { errorOfFailure } from '../coordinator/failure.js';
import { Coordinator } from '../coordinator/coordinator.js';
import type { CoordinatorOptions } from '../coordinator/options.js';
import { codeOf, PodDistError } from '../../util/errors.js';
import type { TraceFile } from '../../trace/trace-file.js';
import { canonicalHost, isWildcard, tcpAddress } from '../../transport/addresses.js';
import type { JobState } from '../../record/job-state.js';
import type { RunCombiner } from '../../record/combine.js';
import type { DevicePlan } from '../../backend/devices/devices.js';
import { newSecret } from '../secret/read-secret.js';
import { followSuspension, type EndCause, type StopSource } from '../../util/signals.js';
import {
  silentAfterMs,
  sizesOf,
  type ElasticOptions,
  type Incident,
  type Inherited,
} from '../coordinator/reform.js';
import { firstBesideTasks } from '../coordinator/roster.js';
import { stepsOf } from '../../training/recovery-point.js';
import { Supervisor } from './supervisor.js';
import { WorkerPlaces, type OwnedWorkers } from './worker-places.js';

export interface JobOptions {
  config: Config;
  devices: DevicePlan;
  /** Folder of the workers' logs. */
  logDir: string;
  /** Arguments of `pod-dist worker`. */
  workerArgs: readonly string[];
  combiner: RunCombiner;
  /** Records how the workers spend their time. */
  trace?: TraceFile;
  /** Called with lines for people. */
  notify(line: string): void;
  /** Called whenever what another process would need to take the job over has changed. */
  onState?(change: Partial<JobState>): void;
  /** Called with each fault that an elastic job has gone on from. */
  onIncident?(incident: Incident): void;
  /** Ties of a job to other processes than this one; default: it ends with this one. */
  outlived?: Outlived;
  /** Source of requests to stop the job. */
  stopping: StopSource;
  /** Asks for the end of the job after the step under way, with a checkpoint; its reason is an `EndCause`. */
  ending?: AbortSignal;
  /** Ends the job when it is aborted; the reason of the abort is a `PodDistError`. */
  lost?: AbortSignal;
  /** Called once, with a function that lets an elastic job go on with another number of workers (see `sizesOf`). */
  onResizable?(resize: (workers: number) => void): void;
}

/** A job whose workers go on where this process ends, until another one takes it over. */
export interface Outlived {
  /** The job's secret, from process to process. */
  token: string;
  /** Run folder. */
  folder: string;
  /** This host's address as other hosts reach it, where that is known. */
  host?: string;
  /** Whether tasks of torchrun, Slurm or MPI keep the places of workers. */
  kept: boolean;
  /** Aborted when another process has taken the job over: the workers are that one's then. */
  taken: AbortSignal;
  /** The job to take over, the milliseconds since its coordinator was lost, and whether that ran on another host. */
  former?: { state: JobState; lostMs: number; elsewhere: boolean };
}

/** Milliseconds that workers may take to end by themselves once all have finished. */
const endWithinMs = 10_000;

/** Milliseconds after which a worker on this host that has not joined counts as hanging, however slow the machine. */
const slowestStartMs = 20_000;

/**
 * Runs a job of several workers on this host: coordinator here, one child process a worker.
 *
 * Resolves when every worker has finished and ended. Rejects with the root cause when one fails, after all have
 * ended: `UserError` for a mistake in the input, `StoppedError` for a signal, else `PodDistError`.
 */
export async function runJob({
  config,
  devices,
  logDir,
  workerArgs,
  combiner,
  trace,
  notify,
  onState = () => {},
  onIncident = () => {},
  outlived,
  stopping,
  ending,
  lost,
  onResizable,
}: JobOptions): Promise<void> {
  const worldSize = config.workers;
  const { distributed } = config;
  mkdirSync(logDir, { recursive: true });
  const token = outlived?.token ?? newSecret();
  const former = outlived?.former;
  const onOwned = outlived ? onState : () => {};
  const owned = { outlived: outlived !== undefined, onChange: onOwned };
  const places = new WorkerPlaces({ config, devices, logDir, workerArgs, token, notify, ...owned });
  const kept = outlived?.kept ?? false;
  const { logOf } = places;
  const { listenOn, connectTo } = addressesOf(
    (former?.elsewhere && !isWildcard(distributed.host) && outlived?.host) || distributed.host,
  );
  const elastic = config.elastic.enabled
    ? elasticOptions({ config, places, combiner, onState: onOwned, onIncident, former: former?.state, kept })
    : undefined;
  const coordinator = await startCoordinator(portOf(former?.state.address), {
    host: listenOn,
    port: distributed.port,
    worldSize,
    token,
    transport: distributed.transport === 'tcp' ? 'tcp' : 'ipc',
    joinTimeoutMs: joinTimeoutMs(distributed),
    stallTimeoutMs: distributed.stallTimeoutSeconds * 1000,
    phaseTimeoutMs: distributed.phaseTimeoutSeconds * 1000,
    stallWarningMs: distributed.stallWarningSeconds * 1000,
    onNotice: notify,
    readPart: combiner.readPart,
    combine: combiner.combineRead,
    onRecord: (rank, news) => combiner.record(news, rank),
    onTrace: (part) => trace?.add(part),
    onGroup: onState,
    onReplay: (before, now, from) =>
      combiner.replay({
        sameBits: distributed.bitwise !== undefined || before === now,
        from: from && stepsOf(from),
      }),
    elastic,
    succession: outlived?.folder,
    inherited: former && inheritedFrom(former, worldSize),
  });
  const supervisor = new Supervisor(coordinator);
  const following = stopping((by = '') => coordinator.abort('STOPPED', by));
  const suspending = followSuspension((paused) => supervisor.pause(paused));
  const askToEnd = () => coordinator.askToEnd(ending?.reason as EndCause);
  ending?.addEventListener('abort', askToEnd);
  lost?.addEventListener('abort', () => {
    const { code, message } = lost.reason as PodDistError;
    coordinator.abort(code, message);
  });
  try {
    const address = tcpAddress(connectTo, coordinator.port);
    onOwned({ address, listensOn: listenOn, reachableAs: outlived?.host, secret: token });
    onResizable?.((workers) => {
      coordinator.resize(sizesOf(config, workers));
      onOwned({ wanted: workers });
    });
    if (former) {
      const owned = ownedHere(former, kept);
      onOwned(owned);
      places.adopt(supervisor, address, owned);
    } else places.open(supervisor, address);
    if (ending?.aborted) askToEnd();
    const failure = await Promise.race([
      coordinator.finished.then(() => undefined),
      coordinator.failure,
      ...(outlived ? [taking(outlived.taken)] : []),
    ]);
    if (!failure) {
      await Promise.race([
        supervisor.ended(),
        new Promise((resolve) => setTimeout(resolve, endWithinMs).unref()),
      ]);
      return;
    }
    if (failure.code === 'PREEMPTED' || failure.code === 'CHECKPOINT_MISSED')
      await Promise.race([supervisor.ended(), delay(endWithinMs, undefined, { ref: false })]);
    throw errorOfFailure(failure, failure.rank === undefined ? logDir : logOf(failure.rank));
  } finally {
    if (outlived?.taken.aborted) supervisor.leave();
    else await supervisor.stop();
    await coordinator.stop();
    following.stop();
    suspending.stop();
    ending?.removeEventListener('abort', askToEnd);
  }
}

/** Listens on the port of a coordinator that has ended, where there was one and the port is free: workers look there. */
async function startCoordinator(
  formerPort: number | undefined,
  options: CoordinatorOptions,
): Promise<Coordinator> {
  if (formerPort === undefined) return Coordinator.start(options);
  try {
    return await Coordinator.start({ ...options, port: formerPort });
  } catch (error) {
    if (codeOf(error) !== 'PORT_IN_USE') throw error;
    return Coordinator.start({ ...options, port: 0 });
  }
}

function portOf(address: string | undefined): number | undefined {
  return address === undefined ? undefined : Number(address.split(':').pop());
}

type Former = NonNullable<Outlived['former']>;

function inheritedFrom({ state, lostMs, elsewhere }: Former, planned: number): Inherited {
  const { generation, ranks, workers } = state;
  const worldSize = ranks.length || planned;
  const own = elsewhere ? [] : workers.map(({ worker }) => worker);
  const others = [...workers, ...ranks].map(({ worker }) => worker).filter((worker) => !own.includes(worker));
  const lostWithHost = elsewhere ? workers.map(({ worker }) => worker) : [];
  return { generation, worldSize, workers: own, elsewhere: [...new Set(others)], lostWithHost, lostMs };
}

/** Workers of a job to take over that are processes of this host. */
function ownedHere({ state, elsewhere }: Former, kept: boolean): OwnedWorkers {
  const nextWorker = kept ? Math.max(firstBesideTasks, state.nextWorker) : state.nextWorker;
  return { workers: elsewhere ? [] : state.workers, nextWorker };
}

/** Rejects when another process takes the job over. */
function taking(taken: AbortSignal): Promise<never> {
  const error = () => new PodDistError('RUN_FOLDER_LOST', 'another process has taken the job over');
  return new Promise((_, reject) => {
    if (taken.aborted) reject(error());
    else taken.addEventListener('abort', () => reject(error()));
  });
}

interface ElasticParts extends Pick<JobOptions, 'config' | 'combiner'> {
  places: WorkerPlaces;
  former?: JobState;
  kept: boolean;
  onState(change: Partial<JobState>): void;
  onIncident(incident: Incident): void;
}

/** How an elastic job on this host goes on after the loss of a worker. */
function elasticOptions(parts: ElasticParts): ElasticOptions {
  const { config, places, combiner, former, kept, onState, onIncident } = parts;
  const { faultsPerWorkerHour, spares } = config.elastic;
  return {
    sizes: sizesOf(config, former?.wanted ?? config.workers),
    kept,
    spares: kept ? Infinity : spares,
    faultsPerWorkerHour,
    silentMs: silentAfterMs,
    faults: former?.faults,
    recordedSteps: () => combiner.recordedSteps,
    onReform: (generation) => onState({ generation }),
    startWorker: () => places.startSpare(),
    endWorker: (worker) => places.end(worker),
    onIncident: (incident, faults) => {
      onState({ faults });
      onIncident({ ...incident, ...combiner.lastReplay });
    },
  };
}

/** Addresses at which the coordinator listens, and at which workers of this host find it. */
function addressesOf(host: string): { listenOn: string; connectTo: string } {
  const canonical = canonicalHost(host);
  return isWildcard(canonical)
    ? { listenOn: '*', connectTo: '127.0.0.1' }
    : { listenOn: canonical, connectTo: canonical };
}

/** Workers that this process starts need not be waited for as long as other hosts: a stalled one ends the job. */
function joinTimeoutMs({ joinTimeoutSeconds, stallTimeoutSeconds }: Config['distributed']): number {
  return Math.min(joinTimeoutSeconds * 1000, Math.max(stallTimeoutSeconds * 1000, slowestStartMs));
}
