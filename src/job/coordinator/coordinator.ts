import { randomBytes } from 'node:crypto';
import { socketsClosed, prepareSockets } from '../../transport/zmq/sockets.js';
import { meetingFolderName, removeLeftovers } from '../../transport/meeting-folder.js';
import type { ErrorCode } from '../../util/error-codes.js';
import { codeOf, messageOf, PodDistError, UserError } from '../../util/errors.js';
import { runningClock } from '../../util/running-clock.js';
import type { TracePart } from '../../trace/trace-file.js';
import { now as clockNow } from '../../trace/tracer.js';
import { Assembly, disagreement } from './assembly.js';
import {
  broken,
  disagreed,
  exited,
  lostBy,
  notTogether,
  refused,
  reported,
  stalled,
  stopped,
  type About,
} from './causes.js';
import { ControlServer, type Arrival, type Connection, type MemberConnections } from '../control/server.js';
import { describeFailure, RootCause, type JobFailure } from './failure.js';
import { describeWait, Lateness } from './lateness.js';
import type { ListenOptions } from '../control/listen.js';
import { MemoryKills } from './memory-kills.js';
import {
  decode,
  foreignVersion,
  workerMessage,
  type CoordinatorMessage,
  type Hello,
  type WorkerMessage,
} from '../control/protocol.js';
import { Roster, type Member, type RosterOptions } from './roster.js';

export interface CoordinatorOptions extends ListenOptions, RosterOptions {
  transport: 'ipc' | 'tcp';
  joinTimeoutMs: number;
  /**
   * Milliseconds to wait for a better explanation, since evidence of one failure arrives from several sides; default:
   * 400.
   */
  graceMs?: number;
  /** Milliseconds that others may wait for a rank before `onNotice` names it; default: none is named. */
  stallWarningMs?: number;
  /** Called with one line for each notice to the user while the job runs. */
  onNotice?(line: string): void;
  /** Called once, when every rank has joined. */
  onAssembled?(): void;
  /** Checks and returns a rank's part of a gather; throws `PROTOCOL_ERROR` if it is not one. */
  readPart?(name: string, part: unknown): unknown;
  /** Makes one result of what the ranks gather under a name; parts by rank. */
  combine(name: string, parts: unknown[]): unknown;
  /** Called with each record of a rank; throws `PROTOCOL_ERROR` if it is not a record. */
  onRecord?(rank: number, news: unknown): void;
  /** Called with the spans of each rank. */
  onTrace?(part: TracePart): void;
}

const defaultGraceMs = 400;
const checkEveryMs = 250;
/**
 * Milliseconds after the deadline at which the coordinator reports that ranks cannot connect to each other; the ranks
 * report it themselves at the deadline.
 */
const connectingGraceMs = 3000;
/** Most names that one rank may have given values for while other ranks have not. */
const mostOpen = 16;

type State = 'joining' | 'connecting' | 'running' | 'ended';

/** State in which ranks may send each message; `lastWords` are allowed even after they have finished. */
const stateOf: Partial<Record<WorkerMessage['type'], State>> = {
  endpoints: 'connecting',
  connected: 'connecting',
  agree: 'running',
  gather: 'running',
  record: 'running',
  finished: 'running',
};
const lastWords = new Set<WorkerMessage['type']>(['beat', 'clock', 'trace', 'lost', 'failed']);

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
  private readonly endpoints: Assembly<Record<string, string>>;
  private readonly connections: Assembly<true>;
  private readonly agreements: Assembly<string>;
  private readonly gatherings: Assembly<unknown>;
  private readonly lateness: Lateness;
  private readonly memory = new MemoryKills();
  private readonly jobId = randomBytes(16).toString('hex');
  /** When the present state began. */
  private since = runningClock.now();
  private resolveFinished!: () => void;
  private strangersTold = false;
  private state: State = 'joining';
  private stopped = false;
  private readonly timer: NodeJS.Timeout;

  private constructor(
    private readonly options: CoordinatorOptions,
    private readonly server: MemberConnections,
  ) {
    this.port = server.port;
    const { worldSize, graceMs = defaultGraceMs } = options;
    this.cause = new RootCause(graceMs);
    this.roster = new Roster(options);
    this.lateness = new Lateness(options.stallWarningMs ?? Infinity);
    this.endpoints = new Assembly(worldSize);
    this.connections = new Assembly(worldSize);
    this.agreements = new Assembly(worldSize, mostOpen);
    this.gatherings = new Assembly(worldSize, mostOpen);
    this.finished = new Promise((resolve) => (this.resolveFinished = resolve));
    this.failure = this.cause.settled.then((failure) => {
      this.broadcast({ type: 'abort', message: describeFailure(failure) });
      return failure;
    });
    this.timer = setInterval(() => this.check(), checkEveryMs);
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
  reportExit(rank: number, code: number | null, signal: NodeJS.Signals | null): void {
    if (this.stopped || (code === 0 && this.roster.get(rank)?.finished)) return;
    this.cause.add(...exited(this.about(rank), code, signal, this.memory.explain(signal)));
  }

  /** Ends the job for a reason that no worker gave, such as a signal to the launcher. */
  abort(code: ErrorCode, cause: string): void {
    this.cause.add(...stopped(code, cause));
  }

  /** Closes the connection and removes what is left of the job; safe to call twice. */
  async stop(): Promise<void> {
    if (this.stopped) return;
    this.stopped = true;
    clearInterval(this.timer);
    const { token, transport } = this.options;
    if (transport === 'ipc' && this.state !== 'running' && this.state !== 'ended')
      removeLeftovers(meetingFolderName(token, this.jobId));
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
    const rank = this.roster.rankOf(connection);
    if (rank !== undefined && this.roster.get(rank)?.broken) return;
    try {
      if ('fault' in arrival) throw new PodDistError('PROTOCOL_ERROR', arrival.fault);
      const message = decode(workerMessage, arrival.bytes);
      if (message.type === 'hello') this.admit(connection, message);
      else if (rank !== undefined) this.handle(rank, message);
    } catch (error) {
      if (rank === undefined) this.refuseVersion(arrival);
      else this.explain(rank, error);
    }
  }

  /** Explains an error: as the member's where the member broke the protocol, else as this process's own. */
  private explain(rank: number, error: unknown): void {
    const code = codeOf(error);
    if (code !== 'PROTOCOL_ERROR')
      return this.cause.add(...stopped(code, messageOf(error), error instanceof UserError));
    (this.roster.get(rank) as Member).broken = true;
    this.cause.add(...broken(this.about(rank), messageOf(error)));
  }

  private admit(connection: Connection, hello: Hello): void {
    const { roster } = this;
    if (roster.rankOf(connection) !== undefined) return;
    const reason = roster.admit(connection, hello);
    if (reason) return this.refuse(connection, reason);
    this.server.admit(connection);
    if (roster.missing.length > 0) return;
    this.enter('connecting');
    this.options.onAssembled?.();
    const { jobId } = this;
    const { transport } = this.options;
    const { machines: hosts, reached } = roster;
    this.broadcast({ type: 'plan', jobId, hosts, transport, reached });
  }

  /**
   * Refuses a process that knows the job's secret but does not fit: ends a job that has not begun, leaves a running
   * one alone.
   */
  private refuse(connection: Connection, reason: string): void {
    this.post(connection, { type: 'refused', code: 'JOIN_REFUSED', message: reason });
    if (this.state === 'joining') this.cause.add(...refused(reason));
  }

  private refuseVersion(arrival: Arrival): void {
    const version = 'bytes' in arrival ? foreignVersion(arrival.bytes) : undefined;
    if (version !== undefined) this.refuse(arrival.connection, this.roster.objectionToVersion(version));
  }

  private handle(rank: number, message: Exclude<WorkerMessage, Hello>): void {
    const member = this.roster.get(rank) as Member;
    this.expectInState(message.type, member);
    switch (message.type) {
      case 'endpoints': {
        const all = this.endpoints.add('endpoints', rank, message.endpoints);
        if (all) this.broadcast({ type: 'table', table: Object.fromEntries(all.entries()) });
        return;
      }
      case 'connected':
        if (!this.connections.add('connections', rank, true)) return;
        this.enter('running');
        for (const [, other] of this.roster.members) other.liveness.restart(runningClock.now());
        this.broadcast({ type: 'go' });
        return;
      case 'agree':
        return this.agree(rank, message.name, message.value);
      case 'gather':
        return this.gather(rank, message.name, message.part);
      case 'record':
        return this.options.onRecord?.(rank, message.news);
      case 'clock':
        return this.post(member.connection, { ...message, answered: clockNow() });
      case 'trace': {
        const { spans, clock } = message;
        return this.options.onTrace?.({ rank, host: member.host, spans, clock });
      }
      case 'beat':
        member.liveness.beat(message, runningClock.now());
        this.tellOfStrangers(rank, message.strangers ?? 0);
        this.lateness.beat(rank, message.collectives, runningClock.now());
        return this.post(member.connection, { type: 'pulse' });
      case 'lost':
        if (message.peer >= this.options.worldSize || message.peer === rank)
          throw new PodDistError(
            'PROTOCOL_ERROR',
            `it reports a lost connection to rank ${message.peer}, which is not one of its peers`,
          );
        if (this.roster.get(message.peer)?.finished) return;
        return this.cause.add(...lostBy(this.about(message.peer), rank));
      case 'failed':
        return this.cause.add(...reported(this.about(rank), message));
      case 'finished':
        member.finished = true;
        if (!this.roster.finished) return;
        this.state = 'ended';
        this.broadcast({ type: 'ended' });
        this.resolveFinished();
    }
  }

  /** Refuses a message of this job's rank that comes out of turn. */
  private expectInState(type: WorkerMessage['type'], { finished }: Member): void {
    const inTime = (stateOf[type] ?? this.state) === this.state;
    if (!inTime || (finished && !lastWords.has(type)))
      throw new PodDistError(
        'PROTOCOL_ERROR',
        `it says ${type} ${inTime ? 'after it has finished' : 'out of turn'}`,
      );
  }

  private agree(rank: number, name: string, value: string): void {
    const values = this.agreements.add(name, rank, value);
    if (!values) return;
    const reason = disagreement(name, values);
    if (reason) this.cause.add(...disagreed(reason));
    else this.broadcast({ type: 'agreed', name });
  }

  private gather(rank: number, name: string, part: unknown): void {
    const { readPart = (_name, given) => given, combine } = this.options;
    const parts = this.gatherings.add(name, rank, readPart(name, part));
    if (!parts) return;
    try {
      this.broadcast({ type: 'gathered', name, result: combine(name, parts) });
    } catch (error) {
      // Such as a full disk under the run folder.
      if (error instanceof UserError) return this.cause.add(...stopped(error.code, messageOf(error), true));
      const reason = `the coordinator could not combine ${name}: ${messageOf(error)}`;
      // Each part is valid by itself, so the parts do not fit together.
      if (error instanceof PodDistError) this.cause.add(...disagreed(reason));
      else this.abort('COORDINATOR_FAILED', reason);
    }
  }

  private check(): void {
    const now = runningClock.now();
    const { joinTimeoutMs } = this.options;
    if (this.state === 'ended') return;
    const waited = now - this.since;
    if (this.state === 'joining' && waited > joinTimeoutMs)
      this.cause.add(...notTogether(this.roster.missing, joinTimeoutMs));
    if (this.state === 'connecting' && waited > joinTimeoutMs + connectingGraceMs)
      this.cause.add(...notTogether([], joinTimeoutMs));
    if (this.state === 'running') this.warn(now);
    for (const [rank, { liveness, finished }] of this.roster.members) {
      const cause = finished ? undefined : liveness.stalled(now);
      if (cause) this.cause.add(...stalled(this.about(rank), cause));
    }
  }

  private warn(now: number): void {
    for (const late of this.lateness.find(now)) {
      const { host, liveness, finished } = this.roster.get(late.rank) as Member;
      if (finished) continue;
      this.options.onNotice?.(
        `rank ${late.rank} on host ${host} is late (${liveness.doing}): ${describeWait(late)}`,
      );
    }
  }

  private about(rank: number): About {
    const member = this.roster.get(rank);
    return { rank, host: member?.host, pid: member?.pid };
  }

  private broadcast(message: CoordinatorMessage): void {
    for (const [, { connection }] of this.roster.members) this.post(connection, message);
  }

  private post(connection: Connection, message: CoordinatorMessage): void {
    if (!this.stopped) this.server.post(connection, message);
  }

  private enter(state: 'connecting' | 'running'): void {
    this.state = state;
    this.since = runningClock.now();
  }

  private tellOfStrangers(rank: number, strangers: number): void {
    if (this.strangersTold || strangers === 0) return;
    this.strangersTold = true;
    this.options.onNotice?.(
      `strangers connect to the data ports of rank ${rank} on host ${this.roster.get(rank)?.host}; they get no answer, and the job goes on`,
    );
  }
}
