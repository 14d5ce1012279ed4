import { Liveness } from './liveness.js';
import { protocolVersion, type Hello } from './protocol.js';

/** What is known of a rank that has joined. */
export interface Member {
  identity: Buffer;
  host: string;
  pid: number;
  liveness: Liveness;
  finished: boolean;
}

export interface RosterOptions {
  worldSize: number;
  /** What workers must present. */
  token: string;
  stallTimeoutMs: number;
}

/** Who may join a job, and who has. */
export class Roster {
  readonly members = new Map<number, Member>();
  private readonly ranks = new Map<string, number>();
  private digest: string | undefined;

  constructor(private readonly job: RosterOptions) {}

  /** Takes a worker in, or says in one line why not. */
  admit(identity: Buffer, hello: Hello): string | undefined {
    const reason = this.objection(hello);
    if (reason) return reason;
    const { rank, host, pid, digest } = hello;
    const liveness = new Liveness(this.job.stallTimeoutMs, performance.now());
    this.digest ??= digest;
    this.members.set(rank, { identity, host, pid, liveness, finished: false });
    this.ranks.set(identity.toString('hex'), rank);
    return undefined;
  }

  get(rank: number): Member | undefined {
    return this.members.get(rank);
  }

  /** The rank of a worker that has joined. */
  rankOf(identity: Buffer): number | undefined {
    return this.ranks.get(identity.toString('hex'));
  }

  /** Ranks that have not joined. */
  get missing(): number[] {
    return Array.from({ length: this.job.worldSize }, (_, rank) => rank).filter(
      (rank) => !this.members.has(rank),
    );
  }

  /** Each rank's host, by rank, once all have joined. */
  get hosts(): string[] {
    return Array.from({ length: this.job.worldSize }, (_, rank) => this.members.get(rank)?.host ?? '');
  }

  /** Whether every rank that has joined is done. */
  get finished(): boolean {
    return [...this.members.values()].every(({ finished }) => finished);
  }

  private objection({ version, token, worldSize, rank, digest, host }: Hello): string | undefined {
    const { job, members } = this;
    if (version !== protocolVersion)
      return `rank ${rank} speaks protocol ${version}, the coordinator ${protocolVersion}: install one version everywhere`;
    if (token !== job.token) return `rank ${rank} on ${host} does not know the job's token (POD_DIST_TOKEN)`;
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
