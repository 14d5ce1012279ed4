import type { Connection } from '../control/server.js';
import { runningClock } from '../../util/running-clock.js';
import { Liveness, type Patience } from './liveness.js';
import { protocolVersion, type Hello } from '../control/protocol.js';
import type { Held } from '../../training/recovery-point.js';

/** A worker process that has joined. */
export interface Member {
  connection: Connection;
  /** Number of the process in its job, which no other process gets. */
  worker: number;
  /** Its rank in the present configuration; undefined for a spare. */
  rank: number | undefined;
  host: string;
  machine: string;
  /** The coordinator's address as this rank has reached it. */
  reached?: string;
  /** Its host's address, where other hosts may reach it. */
  local?: string;
  pid: number;
  liveness: Liveness;
  finished: boolean;
  /** Whether it has broken the protocol: nothing more is read of it. */
  broken: boolean;
  /** The rank that it is to have if it can, and whether it can be rank 0. */
  home: { rank?: number; leads: boolean };
  /** Records that have come from it over this connection. */
  records: number;
  /** Snapshots that it can go on from, once it has left its configuration and is ready for the next. */
  ready: readonly Held[] | undefined;
}

export interface RosterOptions extends Patience {
  worldSize: number;
  /** Whether workers without a rank may join, to take the place of one that is lost; default: they may not. */
  spares?: boolean;
}

/** Numbers from here on have workers that are started in a job whose tasks number their own. */
export const firstBesideTasks = 500_000;

/** Workers that nobody has started for the job have numbers from here on, which they draw themselves. */
export const firstGuest = 1_000_000;

/** Whether a worker has joined from elsewhere, and was not started for the job. */
export function isGuest({ worker }: Pick<Member, 'worker'>): boolean {
  return worker >= firstGuest;
}

/** The members of a job: decides which workers may join, and keeps those that have. */
export class Roster {
  /** Members by rank. */
  readonly members = new Map<number, Member>();
  private readonly all = new Map<Connection, Member>();
  private digest: string | undefined;

  constructor(private readonly job: RosterOptions) {}

  /**
   * Admits a worker, or returns the reason for a refusal in one line. One that comes again has its rank where it has not been
   * taken out, or where the ranks are about to change (`reforming`); else it is a spare, as is one that comes for the first
   * time to a job which has begun without it (`begun`).
   */
  admit(connection: Connection, hello: Hello, { reforming = false, begun = false } = {}): string | undefined {
    const late = begun && this.job.spares;
    const given = late ? undefined : hello.rank;
    const reason = this.objection({ ...hello, rank: given });
    if (reason) return reason;
    const { worker = hello.rank ?? firstGuest, host, machine, reached, local, pid, digest, again } = hello;
    const { home = { leads: true } } = hello;
    const before = again && this.ofWorker(worker);
    if (before) this.remove(before);
    const returning = before || reforming ? (again?.rank ?? before?.rank) : undefined;
    const rank = again ? this.ifFree(returning) : given;
    const liveness = new Liveness(this.job, runningClock.now());
    this.digest ??= digest;
    const ready = rank === undefined ? [] : undefined;
    const state = { liveness, finished: false, broken: false, records: 0, ready };
    const about = { worker, host, machine, reached, local, pid, home };
    const member: Member = { connection, rank, ...about, ...state };
    this.all.set(connection, member);
    if (rank !== undefined) this.members.set(rank, member);
    return undefined;
  }

  /** Takes a member out, for good. */
  remove(member: Member): void {
    this.all.delete(member.connection);
    if (member.rank !== undefined && this.members.get(member.rank) === member)
      this.members.delete(member.rank);
  }

  /** Gives each member of `group` its place there as its rank; all others are spares. */
  assign(group: readonly Member[]): void {
    this.members.clear();
    for (const member of this.all.values()) member.rank = undefined;
    for (const [rank, member] of group.entries()) {
      member.rank = rank;
      member.ready = undefined;
      member.finished = false;
      this.members.set(rank, member);
    }
  }

  get(rank: number): Member | undefined {
    return this.members.get(rank);
  }

  /** A worker that has joined. */
  of(connection: Connection): Member | undefined {
    return this.all.get(connection);
  }

  /** The member that is this worker process. */
  ofWorker(worker: number): Member | undefined {
    return [...this.all.values()].find((member) => member.worker === worker);
  }

  /** Members without a rank, in the order of their numbers. */
  get spares(): Member[] {
    return [...this.all.values()]
      .filter(({ rank }) => rank === undefined)
      .toSorted((a, b) => a.worker - b.worker);
  }

  /** Every process that has joined. */
  get everybody(): Member[] {
    return [...this.all.values()];
  }

  /** Ranks that have not joined. */
  get missing(): number[] {
    return Array.from({ length: this.job.worldSize }, (_, rank) => rank).filter(
      (rank) => !this.members.has(rank),
    );
  }

  /** Each rank's machine, by rank, once all have joined. */
  get machines(): string[] {
    return Array.from({ length: this.members.size }, (_, rank) => this.members.get(rank)?.machine ?? '');
  }

  /** The addresses by which ranks have reached the coordinator. */
  get reached(): string[] {
    const addresses = [...this.members.values()].flatMap(({ reached }) => reached ?? []);
    return [...new Set(addresses)];
  }

  /** Each rank's address as other hosts reach it, by rank; empty where there is none. */
  get standby(): string[] {
    const [outside = ''] = this.reached;
    return Array.from({ length: this.members.size }, (_, rank) => this.members.get(rank)?.local ?? outside);
  }

  /** Whether every rank that has joined is done. */
  get finished(): boolean {
    return [...this.members.values()].every(({ finished }) => finished);
  }

  private ifFree(rank: number | undefined): number | undefined {
    return rank === undefined || this.members.has(rank) ? undefined : rank;
  }

  objectionToVersion(version: number): string {
    return `a worker speaks protocol ${version}, the coordinator ${protocolVersion}: install one version everywhere`;
  }

  private objection({ version, worldSize, rank, worker, digest, host, again }: Hello): string | undefined {
    const { job, members } = this;
    if (version !== protocolVersion) return this.objectionToVersion(version);
    if (worldSize !== job.worldSize)
      return `rank ${rank} expects ${worldSize} workers, the job has ${job.worldSize}`;
    if (rank === undefined && !job.spares) return `worker ${worker} has no rank, and the job takes no spares`;
    if (rank !== undefined && rank >= worldSize)
      return `rank ${rank} is outside the job of ${worldSize} workers`;
    if (again && !job.spares) return `worker ${worker} has lost the coordinator, and the job is not elastic`;
    if (!again && rank !== undefined && members.has(rank))
      return `rank ${rank} has joined already, from ${members.get(rank)?.host}`;
    if (!again && worker !== undefined && this.ofWorker(worker)) return `worker ${worker} has joined already`;
    const who = rank === undefined ? `worker ${worker}` : `rank ${rank}`;
    if (this.digest !== undefined && digest !== this.digest) {
      return `${who} on ${host} has read another configuration than rank ${[...members.keys()][0]}: give every worker the same file and flags`;
    }
    return undefined;
  }
}
