import type { Config } from '../../config/schema.js';
import { configDigest } from '../../config/load.js';
import type { Position } from '../../record/records.js';
import { Membership } from '../member/membership.js';
import { thresholdsOf } from '../../parallel/bitwise.js';
import { canonicalHost, isLoopback, isWildcard, tcpAddress } from '../../transport/addresses.js';
import { readPortRange } from '../../transport/ports.js';
import { launchVariables, type JobEnvironment } from './environment.js';
import { checkKnown, meet, type Meeting } from './meet.js';
import { OwnCoordinator } from './own-coordinator.js';
import { giveToken, publishedSecrets, secretFolders } from '../secret/published-secret.js';
import { givenSecret, newSecret } from '../secret/read-secret.js';
import { starterOf } from './worker-threads.js';

export interface JoinJobOptions {
  place: JobEnvironment;
  config: Config;
  /** Run folder, and its lock where this process holds it. */
  outDir: string;
  lockFile?: string;
  /** Position of the checkpoint that the run goes on from. */
  resumed?: Position;
  /** Whether it only evaluates a checkpoint. */
  evaluate: boolean;
  notify(line: string): void;
  /** Called once the communication thread is on its way to the others, except in an elastic run, where a worker may be a spare. */
  meanwhile?(member: Membership): void;
}

export interface Joined {
  member: Membership;
  /** The coordinator, in rank 0, where no launcher of pod-dist's runs one. */
  own?: OwnCoordinator;
}

/**
 * Joins the job that the environment describes; in rank 0, where no launcher does, also runs its coordinator. Rejects,
 * with nothing left running. In rank 0 the error is the cause that the coordinator found and sent to the other ranks.
 */
export async function joinJob(options: JoinJobOptions): Promise<Joined> {
  const { place, config, evaluate } = options;
  const { own, ...meeting } = await meetCoordinator(options);
  const { distributed } = config;
  try {
    const elastic = config.elastic.enabled && !evaluate;
    const membership = {
      rank: place.rank < 0 ? undefined : place.rank,
      worldSize: place.worldSize,
      worker: place.worker,
      replaces: place.replaces,
      home: place.home,
      elastic,
      address: meeting.address,
      token: meeting.token,
      host: fixedHost(config) ?? meeting.local,
      reached: meeting.reached,
      digest: configDigest(config),
      joinTimeoutMs: distributed.joinTimeoutSeconds * 1000,
      security: distributed.security,
      dataPorts: distributed.dataPorts === undefined ? undefined : readPortRange(distributed.dataPorts),
      stallTimeoutMs: distributed.stallTimeoutSeconds * 1000,
      collectiveTimeoutMs: distributed.collectiveTimeoutSeconds * 1000,
      thresholds: thresholdsOf(config),
      checkCollectives: distributed.checkCollectives,
      trace: config.trace !== undefined && !evaluate,
      folder: options.outDir || undefined,
      ...guardedBy(place),
    };
    const member = elastic
      ? Membership.enter(membership)
      : await Membership.join(membership, options.meanwhile);
    return { member, own };
  } catch (error) {
    const cause = await own?.failure();
    await own?.stop();
    throw cause ?? error;
  }
}

/** Finds the coordinator of the job; in rank 0, where no launcher does, starts it. */
export async function meetCoordinator(options: JoinJobOptions): Promise<Met> {
  const { place } = options;
  if (place.hostIsNode) await checkKnown(place.host);
  if (!place.ownCoordinator || place.rank !== 0) return findCoordinator(options);
  const { coordinator: own, ...meeting } = await startCoordinator(options);
  return { ...meeting, own };
}

/**
 * Processes that must live for this worker to go on. Variables that were set by hand may be of a shell that has ended.
 */
function guardedBy({ starter, rankVariable, outlives, guest }: JobEnvironment): {
  guardParent: boolean;
  starter?: number;
} {
  if (starter === 'pod-dist') return { guardParent: !outlives && !guest };
  if (process.env[launchVariables.hosted] !== undefined) return { guardParent: true };
  if (starter === 'torchrun' && process.env.TORCHELASTIC_RUN_ID === undefined) return { guardParent: false };
  return { guardParent: true, starter: starterOf(process.ppid, rankVariable) };
}

/** Address at which this host's tcp connections listen, where the configuration names one. */
function fixedHost({ distributed }: Config): string | undefined {
  const { host } = distributed;
  return isLoopback(host) || isWildcard(host) ? undefined : canonicalHost(host);
}

type Found = Omit<Meeting, 'reached'> & { reached?: string };

/** Address of the coordinator; `own`: the coordinator, if it runs in this process. */
export type Met = Found & { own?: OwnCoordinator };

/**
 * Starts rank 0's own coordinator: on loopback where MASTER_ADDR is, unless the configuration says otherwise, else on
 * all addresses. Without a given secret, it makes one and leaves it where the other ranks find it.
 */
async function startCoordinator(options: JoinJobOptions): Promise<Found & { coordinator: OwnCoordinator }> {
  const { place, config, outDir, lockFile, resumed, evaluate } = options;
  const { host, port, worldSize } = place;
  const given = givenSecret(process.env);
  const token = given ?? newSecret();
  const alone = isLoopback(host) && isLoopback(config.distributed.host);
  const listenOn = alone ? host : '*';
  const publishAs = given === undefined && worldSize > 1 ? place.job : undefined;
  const coordinator = await OwnCoordinator.start({
    listenOn,
    reachableAs: alone ? undefined : host,
    port,
    worldSize,
    token,
    publishAs,
    config,
    outDir,
    lockFile,
    resumed,
    evaluate,
  });
  const local = alone ? host : '127.0.0.1';
  return { coordinator, token, address: tcpAddress(local, port), local };
}

async function findCoordinator({ place, config, notify }: JoinJobOptions): Promise<Found> {
  const { rank, host, port, token, ownCoordinator, job, guest, home } = place;
  const elsewhere = guest === true || home !== undefined;
  if (!ownCoordinator && !elsewhere) return { token, address: tcpAddress(host, port), local: host };
  const given = elsewhere ? token : givenSecret(process.env);
  return meet({
    rank,
    host,
    port,
    timeoutMs: config.distributed.joinTimeoutSeconds * 1000,
    secrets: () => (given === undefined ? publishedSecrets(job) : [given]),
    withoutSecret: `rank 0 has left no secret of this job in ${secretFolders().join(' or ')}, as it does where hosts share it: ${giveToken}`,
    notify,
  });
}
