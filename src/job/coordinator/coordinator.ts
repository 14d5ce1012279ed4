import { socketsClosed, prepareSockets } from '../../transport/zmq/sockets.js';
import type { ErrorCode } from '../../util/error-codes.js';
import { codeOf, messageOf, PodDistError, UserError } from '../../util/errors.js';
import { runningClock } from '../../util/running-clock.js';
import type { EndCause } from '../../util/signals.js';
import { now as clockNow } from '../../trace/tracer.js';
import {
  broken,
  ended,
  exited,
  lostBy,
  notTogether,
  refused,
  reported,
  stalled,
  stopped,
  type About,
  type Cause,
} from './causes.js';
import { ControlServer, type Arrival, type Connection, type MemberConnections } from '../control/server.js';
import { describeFailure, orderlyEnd, RootCause, type JobFailure } from './failure.js';
import { Exchange } from './exchange.js';
import { Mail } from './mail.js';
import type { CoordinatorOptions } from './options.js';
import { MemoryKills } from './memory-kills.js';
import { Notices } from './notices.js';
import { Phase } from './phase.js';
import {
  decode,
  foreignVersion,
  workerMessage,
  type Hello,
  type WorkerMessage,
} from '../control/protocol.js';
import { Recovery } from './recovery.js';
import { Rendezvous } from './rendezvous.js';
import { Roster, type Member } from './roster.js';

const defaultGraceMs = 400;
const checkEveryMs = 250;

type InTurn = Exclude<
  WorkerMessage,
  { type: 'hello' | 'beat' | 'clock' | 'failed' | 'ready' | 'record' | 'sealed' }
>;

/**
 * The control side of a job: lets the workers find each other, compares what they must agree on, adds up what they
 * gather, watches that they live, and stops them all when one fails.
 *
 * A member that breaks the protocol ends the job and is named; it cannot end this process, nor fill its memory. The
 * coordinator does not start or kill processes (the supervisor does), nor see any gradient.
 */
export class Coordinator {
  readonly port: number;
  /** Resolves with the root cause if the job fails; never rejects. */
  readonly failure: Promise<JobFailure>;
  /** Resolves once every rank has finished. */
  readonly finished: Promise<void>;
  private readonly roster: Roster;
  private readonly cause: RootCause;
  private readonly mail: Mail;
  private readonly rendezvous: Rendezvous;
  private readonly recovery: Recovery | undefined;
  private readonly memory = new MemoryKills();
  private readonly exchange: Exchange;
  private resolveFinished!: () => void;
  private readonly phase = new Phase();
  private readonly notices: Notices;
  private stopped = false;
  /** Why the workers are to end in order, once they are. */
  private ending: EndCause | undefined;
  private readonly timer: NodeJS.Timeout;

  private constructor(
    private readonly options: CoordinatorOptions,
    private readonly server: MemberConnections,
  ) {
    this.port = server.port;
    const { graceMs = defaultGraceMs, joinTimeoutMs, inherited, elastic } = options;
    this.cause = new RootCause(graceMs);
    this.roster = new Roster({ ...options, spares: elastic !== undefined });
    this.mail = new Mail(server, this.roster);
    const { roster, mail, phase } = this;
    this.rendezvous = new Rendezvous(options, { roster, mail, phase });
    const fail = (cause: Cause) => this.cause.add(...cause);
    this.exchange = new Exchange({ ...options, answer: (message) => mail.toRanks(message), fail });
    this.notices = new Notices(this.roster, (line) => options.onNotice?.(line));
    const underWay = () => (phase.state === 'running' || phase.state === 'connecting') && !this.cause.found;
    const job = { roster, mail, rendezvous: this.rendezvous, graceMs, joinTimeoutMs, underWay, fail };
    this.recovery = elastic && new Recovery(job, elastic);
    this.finished = new Promise((resolve) => (this.resolveFinished = resolve));
    this.failure = this.cause.settled.then((failure) => {
      mail.toEverybody({ type: 'abort', message: describeFailure(failure), ended: orderlyEnd(failure) });
      return failure;
    });
    this.timer = setInterval(() => this.check(), checkEveryMs);
    if (!inherited) return;
    this.phase.enter('running');
    this.recovery?.inherit(inherited);
  }

  /** Listens; rejects with `UserError` `PORT_IN_USE` where the port is taken. */
  static async start(options: CoordinatorOptions): Promise<Coordinator> {
    prepareSockets();
    return Coordinator.over(await ControlServer.start(options), options);
  }

  /** Serves members over these connections. */
  static over(server: MemberConnections, options: CoordinatorOptions): Coordinator {
    const coordinator = new Coordinator(options, server);
    void coordinator.serve();
    return coordinator;
  }

  /** Reports a worker process on this host that has ended, as its parent has seen it. */
  reportExit(worker: number, code: number | null, signal: NodeJS.Signals | null): void {
    const member = this.roster.ofWorker(worker);
    if (this.stopped || (code === 0 && member?.finished)) return;
    const about = member ? this.about(member) : { rank: worker };
    this.lose(worker, member, exited(about, code, signal, this.memory.explain(signal)));
  }

  /** Reports a worker process on this host that has ended, of which nobody knows how. */
  reportEnd(worker: number): void {
    const member = this.roster.ofWorker(worker);
    if (this.stopped || member?.finished) return;
    this.lose(worker, member, ended(member ? this.about(member) : { rank: worker }));
  }

  /** Asks every worker to end in order: after the step under way, with a checkpoint. */
  askToEnd(cause: EndCause): void {
    this.ending = cause;
    this.mail.toEverybody({ type: 'end', cause });
  }

  /** Goes on with another number of ranks: the last of `sizes` that can be. */
  resize(sizes: readonly number[]): void {
    this.recovery?.resize(sizes);
  }

  /** Ends the job for a reason that no worker gave, such as a signal to the launcher. */
  abort(code: ErrorCode, cause: string): void {
    this.cause.add(...stopped(code, cause));
  }

  /** Closes the connection and removes what is left of the job; safe to call twice. */
  async stop(): Promise<void> {
    if (this.stopped) return;
    this.stopped = true;
    this.mail.close();
    clearInterval(this.timer);
    this.recovery?.stop();
    this.rendezvous.removeLeftovers();
    await this.server.close();
    await socketsClosed();
  }

  private async serve(): Promise<void> {
    try {
      for await (const arrival of this.server.arrivals()) this.receive(arrival);
    } catch (error) {
      if (!this.stopped) this.abort('COORDINATOR_FAILED', `the coordinator failed: ${messageOf(error)}`);
    }
  }

  private receive(arrival: Arrival): void {
    const { connection } = arrival;
    const member = this.roster.of(connection);
    if (member?.broken) return;
    try {
      if ('fault' in arrival) throw new PodDistError('PROTOCOL_ERROR', arrival.fault);
      const message = decode(workerMessage, arrival.bytes);
      if (message.type === 'hello') this.admit(connection, message);
      else if (member) this.handle(member, message);
    } catch (error) {
      if (member) this.explain(member, error);
      else this.refuseVersion(arrival);
    }
  }

  /** Explains an error: as the member's where the member broke the protocol, else as this process's own. */
  private explain(member: Member, error: unknown): void {
    const code = codeOf(error);
    if (code !== 'PROTOCOL_ERROR')
      return this.cause.add(...stopped(code, messageOf(error), error instanceof UserError));
    member.broken = true;
    this.cause.add(...broken(this.about(member), messageOf(error)));
  }

  private admit(connection: Connection, hello: Hello): void {
    const { roster, mail, rendezvous } = this;
    if (roster.of(connection)) return;
    const reason = roster.admit(connection, hello, {
      reforming: this.recovery?.next !== undefined,
      begun: this.phase.state !== 'joining',
    });
    if (reason) return this.refuse(connection, reason);
    this.server.admit(connection);
    const member = roster.of(connection) as Member;
    if (this.ending) mail.to(member, { type: 'end', cause: this.ending });
    if (hello.again && member.rank !== undefined)
      return this.recovery?.joinedAgain(member, hello.again.generation);
    if (hello.replaces !== undefined) this.reportEnd(hello.replaces);
    this.recovery?.joined(member);
    if (this.phase.state === 'running' && member.rank === undefined && this.recovery?.next === undefined)
      rendezvous.tellGroup();
    if (this.phase.state !== 'joining' || roster.missing.length > 0) return;
    this.options.onAssembled?.();
    rendezvous.plan();
  }

  /**
   * Refuses a process that knows the job's secret but does not fit: ends a job that has not begun, leaves a running
   * one alone.
   */
  private refuse(connection: Connection, reason: string): void {
    this.mail.to({ connection }, { type: 'refused', code: 'JOIN_REFUSED', message: reason });
    if (this.phase.state === 'joining') this.cause.add(...refused(reason));
  }

  private refuseVersion(arrival: Arrival): void {
    const version = 'bytes' in arrival ? foreignVersion(arrival.bytes) : undefined;
    if (version !== undefined) this.refuse(arrival.connection, this.roster.objectionToVersion(version));
  }

  private handle(member: Member, message: Exclude<WorkerMessage, Hello>): void {
    const { rank } = member;
    switch (message.type) {
      case 'beat':
        member.liveness.beat(message, runningClock.now());
        if (rank !== undefined) this.notices.beat(rank, message, this.rendezvous.generation);
        return this.mail.to(member, { type: 'pulse', records: member.records });
      case 'clock':
        return this.mail.to(member, { ...message, answered: clockNow() });
      case 'failed':
        this.blame(reported(this.about(member), message), member);
        return this.recovery?.lose(member);
      case 'ready':
        return this.recovery?.ready(member, message.generation, message.held);
      case 'sealed':
        return this.recovery?.sealed(member, message.at);
      case 'record':
        member.records++;
        if (rank !== undefined) this.record(member, rank, message.news);
        return;
      default:
        // What a rank said before it heard of the next configuration.
        if (rank === undefined || this.recovery?.next !== undefined) return;
        return this.handleInTurn(member, rank, message);
    }
  }

  private handleInTurn(member: Member, rank: number, message: InTurn): void {
    this.phase.expect(message.type, member);
    const { rendezvous } = this;
    const { generation } = rendezvous;
    switch (message.type) {
      case 'endpoints':
        return rendezvous.listens(rank, message.endpoints);
      case 'connected':
        return this.connected(rank);
      case 'agree':
        return this.exchange.agree(generation, rank, message);
      case 'gather':
        return this.exchange.gather(generation, rank, message);
      case 'trace': {
        const { spans, clock } = message;
        return this.options.onTrace?.({ rank, host: member.host, spans, clock });
      }
      case 'stuck':
        if (message.generation !== generation.number) return;
        this.recovery?.apart(member, message.unreached ?? []);
        return this.blame(reported(this.about(member), { ...message, user: false }));
      case 'lost': {
        const peer = this.roster.get(message.peer);
        if (message.peer >= generation.worldSize || message.peer === rank)
          throw new PodDistError(
            'PROTOCOL_ERROR',
            `it reports a lost connection to rank ${message.peer}, which is not one of its peers`,
          );
        if (peer?.finished) return;
        return this.blame(lostBy(peer ? this.about(peer) : { rank: message.peer }, rank));
      }
      case 'finished':
        member.finished = true;
        if (!this.roster.finished) return;
        this.phase.enter('ended');
        this.mail.toEverybody({ type: 'ended' });
        this.resolveFinished();
    }
  }

  /** Takes a record, also one that a rank made before it heard of the next configuration. */
  private record(member: Member, rank: number, news: unknown): void {
    this.phase.expect('record', member);
    this.recovery?.hasStepped();
    this.options.onRecord?.(rank, news);
  }

  private check(): void {
    const now = runningClock.now();
    const { joinTimeoutMs } = this.options;
    const { phase, roster } = this;
    if (phase.state === 'ended') return;
    const group = phase.state === 'joining' ? this.recovery?.firstGroup(now) : undefined;
    if (group) this.rendezvous.beginWith(group);
    const overdue = phase.overdue(now, joinTimeoutMs);
    if (overdue) this.cause.add(...notTogether(overdue === 'joining' ? roster.missing : [], joinTimeoutMs));
    if (phase.state === 'running') this.notices.tellOfLate(this.rendezvous.generation, now);
    if (this.recovery?.next !== undefined) return this.recovery.check(now);
    this.recovery?.rest(now);
    for (const member of roster.members.values()) {
      if (member.finished) continue;
      const silence = phase.state === 'joining' ? undefined : this.recovery?.silence(member, now);
      const cause = member.liveness.stalled(now) ?? silence;
      if (!cause) continue;
      this.blame(stalled(this.about(member), cause), member);
      if (this.recovery?.next !== undefined) return this.recovery.fence(member);
    }
  }

  /** A worker process has ended. */
  private lose(worker: number, member: Member | undefined, cause: Cause): void {
    if (!member && this.recovery) return this.recovery.exitedOutside(worker, cause);
    this.blame(cause, member);
    if (member) this.recovery?.lose(member);
  }

  /** Takes evidence of a failure, of `member` where it is known whose: the job ends, or recovers. */
  private blame(cause: Cause, member?: Member): void {
    if (this.recovery) this.recovery.blame(cause, member);
    else this.cause.add(...cause);
  }

  private connected(rank: number): void {
    const now = runningClock.now();
    if (!this.rendezvous.connected(rank, now)) return;
    this.recovery?.going(now);
    this.rendezvous.tellGroup();
  }

  private about({ rank, host, pid }: Member): About {
    return { rank, host, pid };
  }
}
