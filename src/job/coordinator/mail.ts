import type { Connection, MemberConnections } from '../control/server.js';
import type { CoordinatorMessage } from '../control/protocol.js';
import type { Roster } from './roster.js';

/** What the coordinator sends to the members of a job. */
export class Mail {
  private closed = false;

  constructor(
    private readonly server: MemberConnections,
    private readonly roster: Roster,
  ) {}

  to({ connection }: { connection: Connection }, message: CoordinatorMessage): void {
    if (!this.closed) this.server.post(connection, message);
  }

  toRanks(message: CoordinatorMessage): void {
    for (const member of this.roster.members.values()) this.to(member, message);
  }

  /** To every worker that has joined, spares included. */
  toEverybody(message: CoordinatorMessage): void {
    for (const member of this.roster.everybody) this.to(member, message);
  }

  /** Sends nothing from now on. */
  close(): void {
    this.closed = true;
  }
}
