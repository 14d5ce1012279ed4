import { once } from 'node:events';
import type { Worker } from 'node:worker_threads';
import { arenaBytes, createArena } from '../../collective/arena.js';
import { controlBytes } from '../../collective/control.js';
import { SharedCommunicator } from '../../collective/shared-communicator.js';
import { errorOf } from '../../record/job-end.js';
import { codeOf, messageOf, PodDistError, PreemptedError, UserError } from '../../util/errors.js';
import { noTracer, SpanRecorder, type Tracer } from '../../trace/tracer.js';
import { readResult, type Gathers } from '../../record/reported.js';
import type { Reporter } from '../../record/reporter.js';
import { startSocketThread } from '../../transport/zmq/socket-thread.js';
import { Status, statusBytes } from './status.js';
import type { ErrorCode } from '../../util/error-codes.js';
import type { Held } from '../../training/recovery-point.js';
import type { FromThread, JoinOptions, Place, ThreadData, ToThread } from './thread-protocol.js';

const closeWithinMs = 2000;

/** Codes of errors that the loss of another rank brings about. */
const recoverable = new Set<ErrorCode>(['REFORMING', 'PEER_LOST', 'COLLECTIVE_TIMEOUT', 'MESH_FAILED']);

interface Waiter {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/**
 * A worker's place in a job, on its compute thread: the communicator, and the reports to the coordinator (the
 * `Reporter` that training expects).
 *
 * If another rank fails, every wait here rejects with `JOB_ABORTED`.
 */
export class Membership implements Reporter {
  /** Called with the coordinator's address once another one has taken the job over. */
  onMoved: (address: string) => void = () => {};
  private group: SharedCommunicator | undefined;
  /** Records what the compute thread does, if the job is traced. */
  readonly tracer: Tracer;
  private readonly waiters = new Map<string, Waiter>();
  private ended: PodDistError | undefined;
  private closing: Promise<void> | undefined;
  private readonly asked = new AbortController();

  private constructor(
    private readonly options: JoinOptions,
    private readonly arena: ReturnType<typeof createArena>,
    private readonly thread: Worker,
    private readonly status: Status,
  ) {
    this.tracer = options.trace ? new SpanRecorder((spans) => this.tell({ type: 'trace', spans })) : noTracer;
    thread.on('message', (message: FromThread) => this.hear(message));
    thread.on('error', (error) =>
      this.end(new PodDistError('COMMUNICATION_FAILED', messageOf(error), { cause: error })),
    );
    thread.on('exit', () =>
      this.end(new PodDistError('COMMUNICATION_FAILED', 'the communication thread has ended')),
    );
  }

  /**
   * Joins the job; resolves once all ranks are connected to each other.
   *
   * Rejects with `JOIN_TIMEOUT` past the deadline and `JOIN_REFUSED` where the coordinator says why not.
   */
  static async join(
    options: JoinOptions,
    meanwhile: (membership: Membership) => void = () => {},
  ): Promise<Membership> {
    const membership = Membership.enter(options);
    try {
      meanwhile(membership);
      await membership.takePlace();
    } catch (error) {
      await membership.close();
      throw error;
    }
    return membership;
  }

  /**
   * Begins to join the job. `takePlace` waits for a rank in it.
   *
   * @hidden
   */
  static enter(options: JoinOptions): Membership {
    const arena = createArena({ bytes: arenaBytes, controlBytes });
    const status = new SharedArrayBuffer(statusBytes);
    const script = new URL('./communication-thread.js', import.meta.url);
    const data: ThreadData = { ...options, arena, status };
    const thread = startSocketThread(script, data, { type: 'close' } satisfies ToThread);
    return new Membership(options, arena, thread, new Status(status));
  }

  /**
   * Resolves once this worker has a rank, and all ranks are connected; with undefined where the job has ended without a need
   * for this worker.
   *
   * @hidden
   */
  async takePlace(): Promise<Place | undefined> {
    const { arena, tracer } = this;
    const joined = (await this.expect('joined', () => {})) as
      Extract<FromThread, { type: 'joined' }> | undefined;
    if (!joined) return undefined;
    const { rank, worldSize } = joined.place;
    const { collectiveTimeoutMs: timeoutMs, thresholds, checkCollectives: recordSites } = this.options;
    const group = new SharedCommunicator({
      arena,
      rank,
      worldSize,
      timeoutMs,
      thresholds,
      recordSites,
      tracer,
    });
    await group.connected(joined.connections);
    this.group = group;
    return joined.place;
  }

  /**
   * Leaves a configuration in which this rank cannot go on, and takes a place in the next one, together with all ranks that
   * live. Nothing that `communicator` has allocated may be in use any more.
   *
   * @param held snapshots that this rank can go on from
   * @hidden
   */
  async begin(cause: unknown, held: readonly Held[]): Promise<Place | undefined> {
    const { status } = this;
    status.move('leave the group');
    await this.group?.close();
    for (let first = true; ; first = false) {
      if (this.ended && this.ended.code !== 'REFORMING') throw this.ended;
      this.ended = undefined;
      if (first)
        this.tell({ type: 'leave', code: codeOf(cause), message: messageOf(cause).slice(0, 2000), held });
      try {
        return await this.takePlace();
      } catch (error) {
        if (codeOf(error) !== 'REFORMING') throw error;
      }
    }
  }

  /** Whether a failure is one that the job goes on from: the loss of another rank, in an elastic job. */
  isRecoverable(error: unknown): boolean {
    return this.options.elastic === true && !this.closing && recoverable.has(codeOf(error));
  }

  /** Aborted where the coordinator asks for an end in order; its reason is an `EndCause`. */
  get ending(): AbortSignal {
    return this.asked.signal;
  }

  /** Collectives of the present configuration. */
  get communicator(): SharedCommunicator {
    if (!this.group) throw new PodDistError('MESH_FAILED', 'this worker has no rank yet');
    return this.group;
  }

  async agree(name: string, value: string): Promise<void> {
    await this.expect(`agreed ${name}`, () => this.tell({ type: 'agree', name, value }));
  }

  async gather<Name extends keyof Gathers>(
    name: Name,
    part: Gathers[Name]['part'],
    { aside = false }: { aside?: boolean } = {},
  ): Promise<Gathers[Name]['result']> {
    const ask = () => this.tell({ type: 'gather', name, part });
    return readResult(name, await this.expect(`gathered ${name}`, ask, aside));
  }

  record(news: Parameters<Reporter['record']>[0]): void {
    if (this.ended) throw this.ended;
    this.tell({ type: 'record', news });
  }

  progress(phase: string, epoch?: number, step?: number): void {
    this.status.move(describePhase(phase, epoch, step));
  }

  lengthy(phase: string, epoch?: number): void {
    this.status.move(describePhase(phase, epoch), true);
  }

  /**
   * Reports that this rank has taken the snapshot of this moment.
   *
   * @hidden
   */
  sealed(at: number): void {
    this.tell({ type: 'sealed', at });
  }

  /** Reports to the coordinator why this rank cannot continue. */
  async fail(error: unknown): Promise<void> {
    const { ended } = this;
    if (this.closing || ended?.code === 'JOB_ABORTED' || ended instanceof PreemptedError) return;
    const user = error instanceof UserError;
    this.ended = undefined;
    this.tracer.flush();
    const told = this.expect('failed-sent', () => {
      this.tell({ type: 'failed', code: codeOf(error), message: messageOf(error).slice(0, 2000), user });
    });
    await Promise.race([told.catch(() => {}), new Promise((resolve) => setTimeout(resolve, 1000))]);
  }

  /** Reports that this rank is done; resolves once all ranks are. */
  async finish(): Promise<void> {
    this.tracer.flush();
    await this.expect('ended', () => this.tell({ type: 'finish' }));
  }

  /**
   * Ends the connections and the communication thread; safe to call twice. Waits that are under way, and all later calls
   * that need the job, end with `COMMUNICATOR_CLOSED`.
   */
  close(): Promise<void> {
    this.closing ??= this.endThread();
    return this.closing;
  }

  private async endThread(): Promise<void> {
    await this.group?.close();
    this.end(new PodDistError('COMMUNICATOR_CLOSED', 'this worker has left its job'));
    if (this.thread.threadId === -1) return;
    this.tracer.flush();
    this.tell({ type: 'close' });
    const timer = new AbortController();
    const late = new Promise<void>((resolve) => {
      const handle = setTimeout(resolve, closeWithinMs);
      timer.signal.addEventListener('abort', () => clearTimeout(handle));
    });
    await Promise.race([once(this.thread, 'exit'), late]);
    timer.abort();
  }

  private async expect(what: string, ask: () => void, aside = false): Promise<unknown> {
    if (this.ended) throw this.ended;
    const answer = new Promise<unknown>((resolve, reject) => this.waiters.set(what, { resolve, reject }));
    ask();
    if (aside) return answer;
    const began = this.tracer.now();
    const value = await this.status.waiting(answer);
    this.tracer.span('compute', 'waiting', began, { for: what });
    return value;
  }

  private hear(message: FromThread): void {
    switch (message.type) {
      case 'error':
        return this.end(errorOf(message.ended));
      case 'joined':
        return this.answer('joined', message);
      case 'agreed':
        return this.answer(`agreed ${message.name}`);
      case 'gathered':
        return this.answer(`gathered ${message.name}`, message.result);
      case 'end':
        return this.asked.abort(message.cause);
      case 'moved':
        return this.onMoved(message.address);
      case 'ended':
        this.answer('joined');
        return this.answer('ended');
      default:
        return this.answer(message.type);
    }
  }

  private answer(what: string, value?: unknown): void {
    this.waiters.get(what)?.resolve(value);
    this.waiters.delete(what);
  }

  private end(error: PodDistError): void {
    this.ended ??= error;
    for (const waiter of this.waiters.values()) waiter.reject(error);
    this.waiters.clear();
  }

  private tell(message: ToThread): void {
    this.thread.postMessage(message);
  }
}

/** Describes a phase; epochs and steps are counted from one, as on the console. */
function describePhase(phase: string, epoch?: number, step?: number): string {
  const ofEpoch = epoch === undefined ? '' : ` of epoch ${epoch + 1}`;
  return `${phase}${ofEpoch}${step === undefined ? '' : `, step ${step + 1}`}`;
}
