import { hostname } from 'node:os';
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import type { Connections } from '../../collective/engine.js';
import { ProcessGroup } from '../../collective/process-group.js';
import { socketsClosed, prepareSockets } from '../../transport/zmq/sockets.js';
import { folderScope, MeetingFolder, meetingFolderName } from '../../transport/meeting-folder.js';
import { findUserFolder } from '../../transport/user-folder.js';
import { readCode } from '../../util/error-codes.js';
import { endOf } from '../../record/job-end.js';
import { codeOf, errorOfCode, messageOf, PodDistError } from '../../util/errors.js';
import { ClockOffset } from '../../trace/clock-offset.js';
import { runningClock } from '../../util/running-clock.js';
import { isLoopback, listeningAddress, tcpAddress } from '../../transport/addresses.js';
import { noTracer, now, SpanRecorder, type Tracer, type TraceSpan } from '../../trace/tracer.js';
import { socketsBegin, socketsEnd, type WithSockets } from '../../transport/zmq/socket-thread.js';
import { ControlLink } from './control-link.js';
import { Guardian } from './guardian.js';
import { machineId } from './machine.js';
import { protocolVersion, type CoordinatorMessage, type WorkerMessage } from '../control/protocol.js';
import { Status } from './status.js';
import { successionOf, type Succession } from './succession.js';
import type { FromThread, Place, ThreadData, ToThread } from './thread-protocol.js';
import type { Held } from '../../training/recovery-point.js';

type Plan = Extract<CoordinatorMessage, { type: 'plan' }>;

/** Round trips for the coordinator's clock before the job begins; afterwards there is one a beat. */
const clockSamples = 8;

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
  private readonly tracer: Tracer;
  private readonly clock = new ClockOffset();
  private clockSamples = 0;
  private readonly group: ProcessGroup;
  private connections: Connections | undefined;
  private place: Place | undefined;
  /** Generation that this rank is to be ready for, once it has left its present one. */
  private leaving: number | undefined;
  /** Whether the compute thread is in no configuration, and the snapshots that it has. */
  private away = true;
  private held: readonly Held[] = [];
  /** The latest generation that a coordinator has told of. */
  private heard = 0;
  /** Whether the coordinator is lost, and the next one has not said yet what to be ready for. */
  private orphaned = false;
  /** Where the job goes on after the loss of the coordinator, and this host's address there. */
  private succession: Succession | undefined;
  private own: string | undefined;
  /** Whether this worker has been a member of a coordinator before the present one. */
  private rejoined = false;
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
    this.tracer = data.trace ? new SpanRecorder((spans) => void this.trace(spans)) : noTracer;
    const { arena, thresholds, checkCollectives } = data;
    const lost = (peer: number) => void (this.leaving === undefined && this.send({ type: 'lost', peer }));
    this.group = new ProcessGroup({ arena, thresholds, checkCollectives, tracer: this.tracer, lost });
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
      isAway: () => this.away,
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
    const last = again ? { again: { rank: this.place?.rank, generation: this.heard } } : { replaces };
    return { type: 'hello', version: protocolVersion, ...who, ...about, ...last };
  }

  /** This worker's place in the order of those that bring up another coordinator; before the first step none does. */
  private order(): number | undefined {
    if (this.ended || (this.place === undefined && this.data.rank !== undefined)) return undefined;
    return this.place?.rank ?? this.data.worldSize;
  }

  /** The coordinator is lost, and another one is looked for: the ranks are to begin again with that. */
  private orphan({ message }: PodDistError): void {
    this.guardian.pause();
    this.leaving ??= this.heard;
    this.orphaned = this.rejoined = true;
    this.guardian.folder?.remove();
    const error = new PodDistError('REFORMING', `the ranks begin again: ${message}`);
    this.group.fail(error);
    if (!this.away) this.refuse(error);
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
        this.away = false;
        return this.tell({
          type: 'joined',
          place: this.place as Place,
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
        this.clock.add({ ...message, received: now() });
        if (++this.clockSamples < clockSamples) this.askForClock();
        return;
      case 'pulse':
    }
  }

  /** Takes the place that the coordinator gives, and listens there for the other ranks. */
  private async bind(plan: Plan): Promise<void> {
    const { dataPorts, security, elastic: keepalive } = this.data;
    const { jobId, hosts, rank, worldSize, generation, secret, start } = plan;
    this.checkPlan(plan);
    this.heard = generation;
    this.orphaned = false;
    this.place = { rank, worldSize, generation, start };
    const host = listeningAddress(this.data.host, plan.reached);
    this.own = isLoopback(host) ? undefined : host;
    this.succeed(plan);
    const directory = await this.meetingFolder(plan);
    if (this.closing) return this.guardian.folder?.remove();
    const where = { host, dataPorts, directory, security, keepalive, notify: say };
    const who = { rank, worldSize, generation, secret, jobId, hosts };
    const endpoints = await this.group.bind({ ...who, ...where });
    // Until now connections of the configuration before have ended, and no loss of those counts.
    this.leaving = undefined;
    if (this.closing) return;
    if (this.data.trace) this.askForClock();
    return this.send({ type: 'endpoints', endpoints });
  }

  /** Learns where the job goes on after the loss of its coordinator. */
  private succeed({ succession, rank }: Plan): void {
    if (!succession) return;
    const { token, folder: own, address } = this.data;
    const { port } = new URL(address);
    const hosts = [...new Set(succession.standby.filter(Boolean))];
    const addresses = hosts.map((host) => tcpAddress(host, port));
    const next = successionOf([own, succession.folder], addresses, token);
    if (next.folder === undefined && !this.succession)
      process.stderr.write(
        `rank ${rank} on host ${hostname()} does not see the run folder ${succession.folder}: where the coordinator is lost, another host has to take over\n`,
      );
    this.succession = next;
  }

  /** Refuses a place that no coordinator of this job gives. */
  private checkPlan({ hosts, rank, worldSize, start }: Plan): void {
    const { data } = this;
    const mine = data.elastic ? rank < worldSize : rank === data.rank && worldSize === data.worldSize;
    const ranks = start ? [start.root, ...start.holders] : [];
    if (mine && hosts.length === worldSize && ranks.every((one) => one < worldSize)) return;
    throw new PodDistError(
      'PROTOCOL_ERROR',
      `the coordinator gives rank ${rank} of ${worldSize} to this worker`,
    );
  }

  /** Connects to the other ranks; where one of them is gone meanwhile, an elastic job begins again. */
  private async connect(table: Extract<CoordinatorMessage, { type: 'table' }>['table']): Promise<void> {
    const { joinTimeoutMs, elastic } = this.data;
    const place = this.place as Place;
    const again = elastic === true && place.generation > 0;
    const withinMs = again ? Math.min(joinTimeoutMs, reconnectWithinMs) : joinTimeoutMs;
    const connecting = this.group.connect(table, withinMs);
    if (!elastic) {
      this.connections = await connecting;
      return this.send({ type: 'connected' });
    }
    connecting.then(
      (connections) => {
        if (this.place !== place || this.leaving !== undefined) return;
        this.connections = connections;
        void this.send({ type: 'connected' });
      },
      (error: unknown) => {
        if (this.place !== place || this.leaving !== undefined) return;
        const { generation } = place;
        const { unreached } = this.group;
        const why = { code: codeOf(error), message: messageOf(error), unreached };
        void this.send({ type: 'stuck', generation, ...why });
      },
    );
  }

  /** The coordinator ends this configuration: a compute thread that is in it hears of it, and leaves. */
  private reform({ generation, message }: Extract<CoordinatorMessage, { type: 'reform' }>): void {
    this.leaving = this.heard = generation;
    this.orphaned = false;
    this.guardian.folder?.remove();
    const error = new PodDistError('REFORMING', `the ranks begin again: ${message}`);
    this.group.fail(error);
    if (this.away) this.sayReady();
    else this.refuse(error);
  }

  /** The compute thread has left its configuration: because the coordinator says so, or because of what it met. */
  private leave({ code, message, held }: Extract<ToThread, { type: 'leave' }>): void {
    this.away = true;
    this.held = held;
    if (this.orphaned) return;
    if (this.leaving !== undefined) return this.sayReady();
    const { generation } = this.place as Place;
    void this.send({ type: 'stuck', generation, code, message });
  }

  private sayReady(): void {
    void this.send({ type: 'ready', generation: this.leaving as number, held: [...this.held] });
  }

  /** The folder in which ranks of this host meet. Its name is derived from the secret, never sent. */
  private async meetingFolder({ transport, hosts, jobId, rank, generation, secret }: Plan) {
    const alone = hosts.filter((other) => other === hosts[rank]).length === 1;
    if (transport === 'tcp' || alone) return undefined;
    const user = () => findUserFolder(say);
    const name = meetingFolderName(secret, folderScope(jobId, generation));
    this.guardian.folder = await MeetingFolder.make(name, rank, user);
    return this.guardian.folder?.path;
  }

  private async obey(message: ToThread): Promise<void> {
    switch (message.type) {
      case 'trace':
        return this.trace(message.spans);
      case 'finish':
        this.tracer.flush();
        return this.send({ type: 'finished' });
      case 'failed':
        this.ended = true;
        this.tracer.flush();
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
    if (!this.group.bound && this.link.isUp) void this.send(this.hello(this.rejoined));
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
    if (this.data.trace && group.bound) this.askForClock();
    this.tracer.flush();
  }

  private askForClock(): void {
    void this.send({ type: 'clock', sent: now() });
  }

  /** There is a clock whenever there is a span: the first answer comes before the job begins. */
  private async trace(spans: TraceSpan[]): Promise<void> {
    const clock = this.clock.at(now());
    if (clock) await this.send({ type: 'trace', spans, clock });
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
    this.tracer.flush();
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
