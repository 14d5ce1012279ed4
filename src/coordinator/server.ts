import type * as zmq from 'zeromq';
import { socketsClosed, prepareSockets } from '../collective/sockets.js';
import type { ErrorCode } from '../error-codes.js';
import { messageOf } from '../errors.js';
import type { TracePart } from '../trace/trace-file.js';
import { now as clockNow } from '../trace/tracer.js';
import { Assembly, disagreement } from './assembly.js';
import { disagreed, exited, lostBy, notTogether, reported, stalled, stopped, type About } from './causes.js';
import { describeFailure, RootCause, type JobFailure } from './failure.js';
import { makeIpcDirectory, removeIpcDirectory } from './ipc-directory.js';
import { describeWait, Lateness } from './lateness.js';
import { listen, type ListenOptions } from './listen.js';
import {
  decode,
  encode,
  workerMessage,
  type CoordinatorMessage,
  type Hello,
  type WorkerMessage,
} from './protocol.js';
import { Roster, type Member, type RosterOptions } from './roster.js';

export interface CoordinatorOptions extends ListenOptions, RosterOptions {
  /** Names the job on its data connections. */
  jobId: string;
  transport: 'ipc' | 'tcp';
  joinTimeoutMs: number;
  /** A rank that others wait for longer than this is named by `onNotice`; default: none is. */
  stallWarningMs?: number;
  /** Told, in one line each, what the user should know while the job goes on. */
  onNotice?(line: string): void;
  /** Makes one result of what the ranks gather under a name; parts by rank. */
  combine(name: string, parts: unknown[]): unknown;
  /** Told what ranks record. */
  onRecord?(rank: number, news: unknown): void;
  /** Told what ranks have spent their time on. */
  onTrace?(part: TracePart): void;
}

/** Evidence of one failure arrives from several sides; this long a better explanation is waited for. */
const graceMs = 400;
const checkEveryMs = 250;

/**
 * The control side of a job: lets the workers find each other, compares what they must agree on, adds up what they
 * gather, watches that they live, and stops them all when one fails.
 *
 * What it does not do: start or kill processes (the supervisor does), or see any gradient.
 */
export class Coordinator {
  readonly port: number;
  /** Resolves with the root cause if the job fails; never rejects. */
  readonly failure: Promise<JobFailure>;
  /** Resolves once every rank has finished. */
  readonly finished: Promise<void>;
  private readonly roster: Roster;
  private readonly cause = new RootCause(graceMs);
  private readonly endpoints: Assembly<Record<string, string>>;
  private readonly connections: Assembly<true>;
  private readonly agreements: Assembly<string>;
  private readonly gatherings: Assembly<unknown>;
  private readonly lateness: Lateness;
  private readonly started = performance.now();
  private resolveFinished!: () => void;
  private ipcDirectory: string | undefined;
  private state: 'joining' | 'connecting' | 'running' | 'ended' = 'joining';
  private stopped = false;
  private readonly timer: NodeJS.Timeout;
  private sending: Promise<void> = Promise.resolve();

  private constructor(
    private readonly options: CoordinatorOptions,
    private readonly socket: zmq.Router,
  ) {
    this.port = Number((socket.lastEndpoint as string).split(':').pop());
    const { worldSize } = options;
    this.roster = new Roster(options);
    this.lateness = new Lateness(options.stallWarningMs ?? Infinity);
    this.endpoints = new Assembly(worldSize);
    this.connections = new Assembly(worldSize);
    this.agreements = new Assembly(worldSize);
    this.gatherings = new Assembly(worldSize);
    this.ipcDirectory = options.transport === 'ipc' ? makeIpcDirectory() : undefined;
    this.finished = new Promise((resolve) => (this.resolveFinished = resolve));
    this.failure = this.cause.settled.then((failure) => {
      this.broadcast({ type: 'abort', message: describeFailure(failure) });
      this.removeDirectory();
      return failure;
    });
    this.timer = setInterval(() => this.check(), checkEveryMs);
  }

  /** Listens; rejects with `UserError` `PORT_IN_USE` where the port is taken. */
  static async start(options: CoordinatorOptions): Promise<Coordinator> {
    prepareSockets();
    const socket = await listen(options);
    const coordinator = new Coordinator(options, socket);
    void coordinator.serve();
    return coordinator;
  }

  /** Tells of a worker process on this host that has ended, as its parent has seen it. */
  reportExit(rank: number, code: number | null, signal: NodeJS.Signals | null): void {
    if (this.stopped || (code === 0 && this.roster.get(rank)?.finished)) return;
    this.cause.add(...exited(this.about(rank), code, signal));
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
    this.removeDirectory();
    await this.sending.catch(() => {});
    this.socket.close();
    await socketsClosed();
  }

  private async serve(): Promise<void> {
    try {
      for await (const [identity, bytes] of this.socket) {
        let message: WorkerMessage;
        try {
          message = decode(workerMessage, bytes);
        } catch {
          continue;
        }
        const rank = this.roster.rankOf(identity);
        if (message.type === 'hello') this.admit(identity, message);
        else if (rank !== undefined) this.handle(rank, message);
      }
    } catch (error) {
      if (!this.stopped) this.abort('COORDINATOR_FAILED', `the coordinator failed: ${messageOf(error)}`);
    }
  }

  private admit(identity: Buffer, hello: Hello): void {
    const { roster } = this;
    if (roster.rankOf(identity) !== undefined) return;
    const reason = roster.admit(identity, hello);
    if (reason) return this.post(identity, { type: 'refused', code: 'JOIN_REFUSED', message: reason });
    if (roster.missing.length > 0) return;
    this.state = 'connecting';
    const { jobId, transport } = this.options;
    const { hosts } = roster;
    const directory = new Set(hosts).size === 1 ? this.ipcDirectory : undefined;
    this.broadcast({ type: 'plan', jobId, hosts, transport, directory });
  }

  private handle(rank: number, message: Exclude<WorkerMessage, Hello>): void {
    const member = this.roster.get(rank) as Member;
    switch (message.type) {
      case 'endpoints': {
        const all = this.endpoints.add('endpoints', rank, message.endpoints);
        if (all) this.broadcast({ type: 'table', table: Object.fromEntries(all.entries()) });
        return;
      }
      case 'connected':
        if (!this.connections.add('connections', rank, true)) return;
        this.removeDirectory();
        this.state = 'running';
        for (const [, other] of this.roster.members) other.liveness.restart(performance.now());
        this.broadcast({ type: 'go' });
        return;
      case 'agree':
        return this.agree(rank, message.name, message.value);
      case 'gather':
        return this.gather(rank, message.name, message.part);
      case 'record':
        return this.options.onRecord?.(rank, message.news);
      case 'clock':
        return this.post(member.identity, { ...message, answered: clockNow() });
      case 'trace': {
        const { spans, clock } = message;
        return this.options.onTrace?.({ rank, host: member.host, spans, clock });
      }
      case 'beat':
        member.liveness.beat(message, performance.now());
        this.lateness.beat(rank, message.collectives, performance.now());
        return this.post(member.identity, { type: 'pulse' });
      case 'lost':
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

  private agree(rank: number, name: string, value: string): void {
    const values = this.agreements.add(name, rank, value);
    if (!values) return;
    const reason = disagreement(name, values);
    if (reason) this.cause.add(...disagreed(reason));
    else this.broadcast({ type: 'agreed', name });
  }

  private gather(rank: number, name: string, part: unknown): void {
    const parts = this.gatherings.add(name, rank, part);
    if (!parts) return;
    try {
      this.broadcast({ type: 'gathered', name, result: this.options.combine(name, parts) });
    } catch (error) {
      this.abort('COORDINATOR_FAILED', `the coordinator could not combine ${name}: ${messageOf(error)}`);
    }
  }

  private check(): void {
    const now = performance.now();
    const { joinTimeoutMs } = this.options;
    if (this.state === 'ended') return;
    if (this.state !== 'running' && now - this.started > joinTimeoutMs)
      this.cause.add(...notTogether(this.roster.missing, joinTimeoutMs));
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
    for (const [, { identity }] of this.roster.members) this.post(identity, message);
  }

  private post(identity: Buffer, message: CoordinatorMessage): void {
    if (this.stopped) return;
    this.sending = this.sending.then(() => this.socket.send([identity, encode(message)])).catch(() => {});
  }

  private removeDirectory(): void {
    removeIpcDirectory(this.ipcDirectory);
    this.ipcDirectory = undefined;
  }
}
