import { hostname } from 'node:os';
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import type { Connections } from '../../collective/engine.js';
import { ProcessGroup } from '../../collective/process-group.js';
import { socketsClosed, prepareSockets } from '../../transport/zmq/sockets.js';
import { readCode } from '../../util/error-codes.js';
import { endOf } from '../../record/job-end.js';
import { codeOf, errorOfCode, messageOf, PodDistError } from '../../util/errors.js';
import { runningClock } from '../../util/running-clock.js';
import { isLoopback, listeningAddress } from '../../transport/addresses.js';
import { socketsBegin, socketsEnd, type WithSockets } from '../../transport/zmq/socket-thread.js';
import { ControlLink } from './control-link.js';
import { Guardian } from './guardian.js';
import { machineId } from './machine.js';
import { protocolVersion, type CoordinatorMessage, type WorkerMessage } from '../control/protocol.js';
import { checkPlan, meetingFolderIn, successionIn, type Plan } from './plan.js';
import { SpanSender } from './span-sender.js';
import { Standing } from './standing.js';
import { Status } from './status.js';
import type { Succession } from './succession.js';
import type { FromThread, Place, ThreadData, ToThread } from './thread-protocol.js';

/** Milliseconds that ranks which are all there may take to connect to each other. */
const reconnectWithinMs = 10_000;

/**
 * The communication thread of a worker: the control connection, the data connections and the collectives.
 *
 * It also guards the worker while the compute thread is busy or blocked: beats, the parent's life, the coordinator's
 * orders (see `Guardian`).
 */
class CommunicationThread {
  private readonly link: ControlLink;
  private readonly status: Status;
  private readonly guardian: Guardian;
  private readonly spans: SpanSender;
  private readonly standing = new Standing();
  private readonly group: ProcessGroup;
  private connections: Connections | undefined;
  /** Where the job goes on after the loss of the coordinator, and this host's address there. */
  private succession: Succession | undefined;
  private own: string | undefined;
  private ended = false;
  private closing = false;
  private readonly joinTimer: { clear(): void };
  private readonly beats: NodeJS.Timeout;

  constructor(
    private readonly data: ThreadData & WithSockets,
    private readonly port: MessagePort,
  ) {
    prepareSockets();
    socketsBegin(data);
    process.on('uncaughtException', (error) => this.refuse(failed(error)));
    this.status = new Status(data.status);
    this.guardian = new Guardian(
      { ...data, succession: () => this.succession },
      (error) => this.refuse(error),
      (reason, known) => this.link.giveUp(reason, known),
      (inMs) => this.link.prepare(inMs),
    );
    this.spans = new SpanSender(data.trace === true, (message) => this.send(message));
    const { arena, thresholds, checkCollectives } = data;
    const lost = (peer: number) => void (!this.standing.leaving && this.send({ type: 'lost', peer }));
    this.group = new ProcessGroup({ arena, thresholds, checkCollectives, tracer: this.spans.tracer, lost });
    this.joinTimer = runningClock.after(data.joinTimeoutMs, () => this.refuse(this.lateJoin()));
    this.beats = setInterval(() => this.beat(), 500);
    port.on('message', (message: ToThread) => void this.obey(message));
    this.link = this.openLink();
  }

  private openLink(): ControlLink {
    return new ControlLink({
      ...this.data,
      succession: () => this.succession,
      host: () => this.own,
      hello: (again) => this.hello(again),
      order: () => this.order(),
      isAway: () => this.standing.away,
      follow: (message) => {
        this.guardian.heardOfCoordinator();
        this.joinTimer.clear();
        return this.follow(message);
      },
      onOrphaned: (error) => this.orphan(error),
      onFound: (address) => {
        this.guardian.heardOfCoordinator();
        this.tell({ type: 'moved', address });
      },
      onLost: (error) => void (this.ended || this.guardian.endSoon(error)),
      onFailure: (error) => void this.giveUp(error),
    });
  }

  private hello(again: boolean): WorkerMessage {
    const { rank, worldSize, worker, digest, reached, home, replaces, host } = this.data;
    const local = isLoopback(host) ? undefined : host;
    const about = { host: hostname(), machine: machineId(), pid: process.pid, local };
    const who = { rank: again ? undefined : rank, worldSize, worker, digest, reached, home };
    const last = again ? { again: this.standing.last } : { replaces };
    return { type: 'hello', version: protocolVersion, ...who, ...about, ...last };
  }

  /** This worker's place in the order of those that bring up another coordinator; before the first step none does. */
  private order(): number | undefined {
    const { place } = this.standing;
    if (this.ended || (place === undefined && this.data.rank !== undefined)) return undefined;
    return place?.rank ?? this.data.worldSize;
  }

  /** The coordinator is lost, and another one is looked for: the ranks are to begin again with that. */
  private orphan({ message }: PodDistError): void {
    this.guardian.pause();
    this.standing.orphan();
    const error = this.endConfiguration(message);
    if (!this.standing.away) this.refuse(error);
  }

  private async giveUp(error: PodDistError): Promise<void> {
    const { code, message } = error;
    if (code === 'MESH_FAILED') await this.send({ type: 'failed', code, message, user: false });
    this.refuse(error);
  }

  private async follow(message: CoordinatorMessage): Promise<void> {
    switch (message.type) {
      case 'refused':
        return this.refuse(new PodDistError(readCode(message.code), message.message));
      case 'plan':
        return this.bind(message);
      case 'table':
        return this.connect(message.table);
      case 'go':
        this.guardian.folder?.remove();
        this.group.serve();
        this.standing.enter();
        return this.tell({
          type: 'joined',
          place: this.standing.place as Place,
          connections: this.connections as Connections,
        });
      case 'reform':
        return this.reform(message);
      case 'dropped':
        return this.link.comeAgain(message.message);
      case 'agreed':
      case 'gathered':
        return this.tell(message);
      case 'abort': {
        const { ended } = message;
        const error = ended
          ? errorOfCode(ended.code, ended.message)
          : new PodDistError('JOB_ABORTED', `the job was stopped: ${message.message}`);
        return this.guardian.endSoon(error);
      }
      case 'ended':
        this.ended = true;
        return this.tell({ type: 'ended' });
      case 'end':
        return this.tell(message);
      case 'clock':
        return this.spans.answered(message);
      case 'pulse':
    }
  }

  /** Takes the place that the coordinator gives, and listens there for the other ranks. */
  private async bind(plan: Plan): Promise<void> {
    const { dataPorts, security, elastic: keepalive } = this.data;
    const { jobId, hosts, rank, worldSize, generation, secret, start } = plan;
    checkPlan(plan, this.data);
    this.standing.take({ rank, worldSize, generation, start });
    const host = listeningAddress(this.data.host, plan.reached);
    this.own = isLoopback(host) ? undefined : host;
    this.succeed(plan);
    this.guardian.folder = await meetingFolderIn(plan, say);
    const directory = this.guardian.folder?.path;
    if (this.closing) return this.guardian.folder?.remove();
    const where = { host, dataPorts, directory, security, keepalive, notify: say };
    const who = { rank, worldSize, generation, secret, jobId, hosts };
    const endpoints = await this.group.bind({ ...who, ...where });
    this.standing.settle();
    if (this.closing) return;
    if (this.data.trace) this.spans.ask();
    return this.send({ type: 'endpoints', endpoints });
  }

  /** Learns where the job goes on after the loss of its coordinator. */
  private succeed(plan: Plan): void {
    const next = successionIn(plan, this.data);
    if (!next) return;
    if (next.folder === undefined && !this.succession)
      say(
        `rank ${plan.rank} on host ${hostname()} does not see the run folder ${plan.succession?.folder}: where the coordinator is lost, another host has to take over`,
      );
    this.succession = next;
  }

  /** Connects to the other ranks; where one of them is gone meanwhile, an elastic job begins again. */
  private async connect(table: Extract<CoordinatorMessage, { type: 'table' }>['table']): Promise<void> {
    const { joinTimeoutMs, elastic } = this.data;
    const place = this.standing.place as Place;
    const again = elastic === true && place.generation > 0;
    const withinMs = again ? Math.min(joinTimeoutMs, reconnectWithinMs) : joinTimeoutMs;
    const connecting = this.group.connect(table, withinMs);
    if (!elastic) {
      this.connections = await connecting;
      return this.send({ type: 'connected' });
    }
    connecting.then(
      (connections) => {
        if (!this.standing.isIn(place)) return;
        this.connections = connections;
        void this.send({ type: 'connected' });
      },
      (error: unknown) => {
        if (!this.standing.isIn(place)) return;
        const { generation } = place;
        const { unreached } = this.group;
        const why = { code: codeOf(error), message: messageOf(error), unreached };
        void this.send({ type: 'stuck', generation, ...why });
      },
    );
  }

  /** The coordinator ends this configuration: a compute thread that is in it hears of it, and leaves. */
  private reform({ generation, message }: Extract<CoordinatorMessage, { type: 'reform' }>): void {
    this.standing.reform(generation);
    const error = this.endConfiguration(message);
    if (this.standing.away) this.sayReady();
    else this.refuse(error);
  }

  /** Ends what the ranks of the present configuration have under way; the error that their calls fail with. */
  private endConfiguration(reason: string): PodDistError {
    this.guardian.folder?.remove();
    const error = new PodDistError('REFORMING', `the ranks begin again: ${reason}`);
    this.group.fail(error);
    return error;
  }

  /** The compute thread has left its configuration: because the coordinator says so, or because of what it met. */
  private leave({ code, message, held }: Extract<ToThread, { type: 'leave' }>): void {
    const { standing } = this;
    standing.left(held);
    if (standing.orphaned) return;
    if (standing.leaving) return this.sayReady();
    const { generation } = standing.place as Place;
    void this.send({ type: 'stuck', generation, code, message });
  }

  private sayReady(): void {
    void this.send(this.standing.ready);
  }

  private async obey(message: ToThread): Promise<void> {
    switch (message.type) {
      case 'trace':
        return this.spans.send(message.spans);
      case 'finish':
        this.spans.tracer.flush();
        return this.send({ type: 'finished' });
      case 'failed':
        this.ended = true;
        this.spans.tracer.flush();
        await this.send(message);
        return this.tell({ type: 'failed-sent' });
      case 'leave':
        return this.leave(message);
      case 'close':
        return this.close();
      default:
        return this.send(message);
    }
  }

  private beat(): void {
    if (!this.group.bound && this.link.isUp) void this.send(this.hello(this.standing.rejoined));
    const { status, group } = this;
    const progress = status.progress + group.completed;
    const waiting = status.isWaiting || group.busy;
    void this.send({
      type: 'beat',
      progress,
      waiting,
      phase: status.phase,
      lengthy: status.isLengthy,
      collectives: group.collectives,
      strangers: group.strangers,
    });
    if (this.data.trace && group.bound) this.spans.ask();
    this.spans.tracer.flush();
  }

  private lateJoin(): PodDistError {
    const { address, joinTimeoutMs, rank } = this.data;
    return new PodDistError(
      'JOIN_TIMEOUT',
      `rank ${rank} has no answer from the coordinator at ${address} after ${joinTimeoutMs / 1000} s: does it run there, with the same POD_DIST_TOKEN?`,
    );
  }

  private refuse(error: PodDistError): void {
    this.group.fail(error);
    this.tell({ type: 'error', ended: endOf(error) });
  }

  private async close(): Promise<void> {
    if (this.closing) return;
    this.closing = true;
    this.joinTimer.clear();
    clearInterval(this.beats);
    this.guardian.close();
    this.spans.tracer.flush();
    await this.link.close();
    await this.group.close();
    this.guardian.folder?.remove();
    await socketsClosed();
    socketsEnd(this.data);
    this.port.close();
  }

  /** Sends the coordinator a message; where that cannot be, the worker fails. */
  private async send(message: WorkerMessage): Promise<void> {
    try {
      await this.link.send(message);
    } catch (error) {
      if (!this.closing) this.refuse(error as PodDistError);
    }
  }

  private tell(message: FromThread): void {
    this.port.postMessage(message);
  }
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

function failed(error: unknown): PodDistError {
  return new PodDistError('COMMUNICATION_FAILED', messageOf(error), { cause: error });
}

new CommunicationThread(workerData as ThreadData & WithSockets, parentPort as MessagePort);
