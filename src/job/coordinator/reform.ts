import { largest } from '../../util/extremes.js';
import { runningClock } from '../../util/running-clock.js';
import type { Config } from '../../config/schema.js';
import { checkWorkers, permittedSizes } from '../../parallel/virtual-workers.js';
import { recoveryPoint, stepsOf, type Start } from '../../training/recovery-point.js';
import type { Faults } from './budget.js';
import type { Cause } from './causes.js';
import type { JobFailure } from './failure.js';
import type { FormerWorkers } from './returning.js';
import type { Member } from './roster.js';

/** Milliseconds that a rank may take to leave its configuration before its process is ended, beats or not. */
const leaveWithinMs = 30_000;

/** A fault that the job has gone on from. */
export interface Incident {
  /** Generation that began with it. */
  generation: number;
  rank?: number;
  host?: string;
  code: string;
  cause: string;
  /** Seconds from the first evidence until all ranks went on. */
  seconds: number;
  worldSize: number;
  /** Steps that had been made, and how many of them were made again; unknown where the ranks began from a checkpoint. */
  step?: number;
  replayed?: number;
}

/** An incident in one line, of a job that is to have `workers`; `bitwise` where their number changes no bit. */
export function describeIncident(
  { rank, host, cause, seconds, worldSize }: Incident,
  { workers, bitwise }: { workers: number; bitwise: boolean },
): string {
  const who = rank === undefined ? '' : `rank ${rank}${host ? ` on host ${host}` : ''}: `;
  const bits = bitwise ? 'to the same bits' : 'to the same weights but for rounding (--bitwise: to the bit)';
  const others = worldSize === workers ? '' : `, ${bits}`;
  return `${who}${cause}; ${worldSize} worker${worldSize > 1 ? 's go' : ' goes'} on after ${seconds.toFixed(1)} s${others}`;
}

/** How a job goes on after the loss of a worker. */
export interface ElasticOptions {
  /** Numbers of ranks that the job may go on with, ascending; the last one is the wanted number. */
  sizes: readonly number[];
  /** Workers that wait to take the place of a lost one. */
  spares: number;
  /** Faults of a worker in an hour, on average, after which the job ends. */
  faultsPerWorkerHour: number;
  /** Faults before this process has taken the job over. */
  faults?: Faults;
  /** Milliseconds without a word after which a rank that others wait for is ended. */
  silentMs: number;
  /** Whether other processes keep the places of workers, and start a worker again that is lost. */
  kept?: boolean;
  /** Milliseconds without a further worker after which the job begins with fewer than wanted; default: it waits for all. */
  lastCallMs?: number;
  /** Starts a worker without a rank; returns its number, or undefined where none is started here. */
  startWorker(): number | undefined;
  /** Ends a worker process that does not answer. */
  endWorker(worker: number): void;
  /** Number of steps that are recorded: the ranks go on from no later one, so that the record has every step. */
  recordedSteps?(): number;
  /** Called before the ranks hear that this generation is to begin. */
  onReform?(generation: number): void;
  /** Called once the job has gone on; with the faults so far. */
  onIncident(incident: Incident, faults: Faults): void;
}

/** A job whose coordinator has ended. */
export interface Inherited extends FormerWorkers {
  /** The last generation. */
  generation: number;
  /** Number of ranks in it. */
  worldSize: number;
  /** Milliseconds since its coordinator was lost. */
  lostMs: number;
}

/** Milliseconds without a word after which a worker of an elastic job is ended, so that the others go on. */
export const silentAfterMs = 5000;

/**
 * Numbers of workers that an elastic job goes on with, the last one `wanted`.
 *
 * @throws UserError `CONFIG_INVALID` where the configuration does not permit that number
 */
export function sizesOf(config: Config, wanted: number): number[] {
  const { least = config.workers } = config.elastic;
  checkWorkers(config, wanted);
  return permittedSizes(config, { least: Math.min(least, wanted), most: wanted });
}

/** Members of the next configuration, by rank, and the snapshot from which they go on. */
export interface Formation {
  group: Member[];
  start: Start | undefined;
}

/**
 * The next configuration, from members that are ready for it: the largest permitted number of them. Of more than that
 * those are left out without which the newest snapshot is still whole. A member keeps its number where it is below the
 * number of ranks. They go on from no step after `recordedSteps`. Undefined: too few are there.
 */
export function formGroup(
  ready: readonly Member[],
  sizes: readonly number[],
  recordedSteps = Infinity,
): Formation | undefined {
  const size = sizes.findLast((one) => one <= ready.length);
  if (size === undefined) return undefined;
  const chosen = choose(ready, size, (members) => startOf(members, recordedSteps)?.at ?? -1);
  const group: (Member | undefined)[] = Array.from({ length: size }, (_, rank) =>
    chosen.find((member) => member.rank === rank),
  );
  const others = chosen.filter((member) => !group.includes(member));
  const experienced = others.toSorted((a, b) => (b.ready?.length ?? 0) - (a.ready?.length ?? 0));
  const whole = group.map((member, rank) => member ?? take(experienced, rank));
  if (!whole.every((member) => member !== undefined) || !whole[0]?.home.leads) return undefined;
  return { group: whole, start: startOf(whole, recordedSteps) };
}

/** Chooses `size` members: drops the member whose loss costs least, and repeats that; of equal ones it drops the last. */
function choose(members: readonly Member[], size: number, worth: (members: Member[]) => number): Member[] {
  const chosen = members.toSorted((a, b) => (b.ready?.length ?? 0) - (a.ready?.length ?? 0));
  while (chosen.length > size) {
    const worths = chosen.map((_, index) => worth(chosen.toSpliced(index, 1)));
    chosen.splice(worths.lastIndexOf(largest(worths)), 1);
  }
  return chosen;
}

/** Takes a member without a rank for `rank`, by preference the one whose own place that is. */
function take(others: Member[], rank: number): Member | undefined {
  const index = others.findIndex(({ home }) => home.rank === rank);
  const leader = index >= 0 || rank > 0 ? index : others.findIndex(({ home }) => home.leads);
  return others.splice(Math.max(0, leader), 1)[0];
}

function startOf(group: readonly Member[], recordedSteps: number): Start | undefined {
  return recoveryPoint(group.map(({ ready = [] }) => ready.filter((one) => stepsOf(one) <= recordedSteps)));
}

/** A change of configuration under way: waits for the ranks that go on, and knows those that take too long. */
export class Reform {
  /** The evidence that explains it best. */
  private best: Cause;

  /** Whether workers were started because those that were to come have not. */
  helped = false;

  /** When this process began it; it is older where another process's end is its cause. */
  readonly began = runningClock.now();

  constructor(
    public generation: number,
    first: Cause,
    readonly since: number,
  ) {
    this.best = first;
  }

  /** Takes more evidence. */
  consider(cause: Cause): void {
    if (cause[1] > this.best[1]) this.best = cause;
  }

  get failure(): JobFailure {
    return this.best[0];
  }

  /** Ranks that have neither left the configuration before nor said anything for long. */
  late(members: Iterable<Member>, now: number, silentMs: number): Member[] {
    const tooLong = now - this.began > leaveWithinMs;
    return [...members].filter(
      ({ ready, liveness }) => !ready && (tooLong || liveness.silentMs(now) > silentMs),
    );
  }
}
