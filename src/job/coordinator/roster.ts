import type { Connection } from '../control/server.js';
import { runningClock } from '../../util/running-clock.js';
import { Liveness, type Patience } from './liveness.js';
import { protocolVersion, type Hello } from '../control/protocol.js';

/** A rank that has joined. */
export interface Member {
  connection: Connection;
  host: string;
  machine: string;
  /** The coordinator's address as this rank has reached it. */
  reached?: string;
  pid: number;
  liveness: Liveness;
  finished: boolean;
  /** Whether it has broken the protocol: nothing more is read of it. */
  broken: boolean;
}

export interface RosterOptions extends Patience {
  worldSize: number;
}

/** The members of a job: decides which workers may join, and keeps those that have. */
export class Roster {
  readonly members = new Map<number, Member>();
  private readonly ranks = new Map<Connection, number>();
  private digest: string | undefined;

  constructor(private readonly job: RosterOptions) {}

  /** Admits a worker, or returns the reason for a refusal in one line. */
  admit(connection: Connection, hello: Hello): string | undefined {
    const reason = this.objection(hello);
    if (reason) return reason;
    const { rank, host, machine, reached, pid, digest } = hello;
    const liveness = new Liveness(this.job, runningClock.now());
    this.digest ??= digest;
    const about = { connection, host, machine, reached, pid };
    this.members.set(rank, { ...about, liveness, finished: false, broken: false });
    this.ranks.set(connection, rank);
    return undefined;
  }

  get(rank: number): Member | undefined {
    return this.members.get(rank);
  }

  /** The rank of a worker that has joined. */
  rankOf(connection: Connection): number | undefined {
    return this.ranks.get(connection);
  }

  /** Ranks that have not joined. */
  get missing(): number[] {
    return Array.from({ length: this.job.worldSize }, (_, rank) => rank).filter(
      (rank) => !this.members.has(rank),
    );
  }

  /** Each rank's machine, by rank, once all have joined. */
  get machines(): string[] {
    return Array.from({ length: this.job.worldSize }, (_, rank) => this.members.get(rank)?.machine ?? '');
  }

  /** The addresses by which ranks have reached the coordinator. */
  get reached(): string[] {
    const addresses = [...this.members.values()].flatMap(({ reached }) => reached ?? []);
    return [...new Set(addresses)];
  }

  /** Whether every rank that has joined is done. */
  get finished(): boolean {
    return [...this.members.values()].every(({ finished }) => finished);
  }

  objectionToVersion(version: number): string {
    return `a worker speaks protocol ${version}, the coordinator ${protocolVersion}: install one version everywhere`;
  }

  private objection({ version, worldSize, rank, digest, host }: Hello): string | undefined {
    const { job, members } = this;
    if (version !== protocolVersion) return this.objectionToVersion(version);
    if (worldSize !== job.worldSize)
      return `rank ${rank} expects ${worldSize} workers, the job has ${job.worldSize}`;
    if (rank >= worldSize) return `rank ${rank} is outside the job of ${worldSize} workers`;
    if (members.has(rank)) return `rank ${rank} has joined already, from ${members.get(rank)?.host}`;
    if (this.digest !== undefined && digest !== this.digest) {
      return `rank ${rank} on ${host} has read another configuration than rank ${[...members.keys()][0]}: give every worker the same file and flags`;
    }
    return undefined;
  }
}
