import { randomBytes } from 'node:crypto';
import type { Start } from '../../training/recovery-point.js';
import { folderScope, meetingFolderName, removeLeftovers } from '../../transport/meeting-folder.js';
import { runningClock } from '../../util/running-clock.js';
import { Generation } from './generation.js';
import type { Mail } from './mail.js';
import type { CoordinatorOptions } from './options.js';
import type { Phase } from './phase.js';
import type { Formation } from './reform.js';
import type { Member, Roster } from './roster.js';

interface RendezvousParts {
  roster: Roster;
  phase: Phase;
  mail: Mail;
}

/**
 * Brings the ranks of a configuration together: each gets its place, listens for its peers and says where, gets the
 * addresses of all, and connects; then all go on at once.
 *
 *     plan         to each rank: its number, the machines of all, and the secret of this configuration
 *     endpoints    from each rank; once all have come, `table` to all of them
 *     connected    from each rank; once all have come, `go`
 */
export class Rendezvous {
  /** Messages of the ranks of the present configuration. */
  generation: Generation;
  /** Secret of the members of the present configuration. */
  private secret: string;
  private readonly jobId = randomBytes(16).toString('hex');

  constructor(
    private readonly options: CoordinatorOptions,
    private readonly parts: RendezvousParts,
  ) {
    const { token, inherited, worldSize, stallWarningMs = Infinity } = options;
    this.secret = token;
    this.generation = new Generation(
      inherited?.generation ?? 0,
      inherited?.worldSize ?? worldSize,
      stallWarningMs,
    );
  }

  /** Tells every rank its place in the present configuration, and where the ranks go on from: by default the beginning. */
  plan(start?: Start): void {
    const { jobId, parts } = this;
    const { roster, mail } = parts;
    const { transport, token, elastic, succession: folder } = this.options;
    parts.phase.enter('connecting');
    this.secret = elastic ? randomBytes(32).toString('hex') : token;
    const { secret } = this;
    const { number: generation, worldSize } = this.generation;
    const { machines: hosts, reached, standby } = roster;
    const succession = folder === undefined ? undefined : { folder, standby };
    const about = { jobId, generation, worldSize, secret, transport, start, succession };
    for (const [rank, member] of roster.members)
      mail.to(member, { type: 'plan', ...about, rank, hosts, reached });
  }

  /** Begins an elastic job with these ranks, where not all have come; the others take part once they do. */
  beginWith(group: readonly Member[]): void {
    const { worldSize, onNotice } = this.options;
    const { length } = group;
    onNotice?.(
      `${length} of ${worldSize} workers are there: the run begins with ${length}, and others take part once they come`,
    );
    this.form(0, group);
    this.plan();
  }

  /** Begins the next configuration of an elastic job. */
  begin(number: number, { group, start }: Formation): void {
    const before = this.generation.worldSize;
    this.form(number, group);
    this.options.onReplay?.(before, group.length, start);
    this.plan(start);
  }

  private form(number: number, group: readonly Member[]): void {
    this.parts.roster.assign(group);
    for (const member of group) member.liveness.restart(runningClock.now());
    this.generation = new Generation(number, group.length, this.options.stallWarningMs ?? Infinity);
  }

  /** Takes where a rank listens for its peers. */
  listens(rank: number, endpoints: Record<string, string>): void {
    const all = this.generation.endpoints.add('endpoints', rank, endpoints);
    if (all) this.parts.mail.toRanks({ type: 'table', table: Object.fromEntries(all.entries()) });
  }

  /** A rank has connected to its peers; returns whether all have, and go on. */
  connected(rank: number, now: number): boolean {
    const { roster, phase, mail } = this.parts;
    if (!this.generation.connections.add('connections', rank, true)) return false;
    phase.enter('running');
    for (const member of roster.members.values()) member.liveness.restart(now);
    mail.toRanks({ type: 'go' });
    return true;
  }

  /** Tells of the ranks of the present configuration, and of the workers that wait for a place in one. */
  tellGroup(): void {
    const { roster } = this.parts;
    const members = [...roster.members].toSorted(([a], [b]) => a - b);
    this.options.onGroup?.({
      generation: this.generation.number,
      ranks: members.map(([rank, { host, pid, worker }]) => ({ rank, host, pid, worker })),
      spares: roster.spares.map(({ host, pid, worker }) => ({ host, pid, worker })),
    });
  }

  /** Removes what ranks that have not come together may have left: each removes its own once they have. */
  removeLeftovers(): void {
    const { state } = this.parts.phase;
    if (this.options.transport === 'ipc' && state !== 'running' && state !== 'ended')
      removeLeftovers(meetingFolderName(this.secret, folderScope(this.jobId, this.generation.number)));
  }
}
