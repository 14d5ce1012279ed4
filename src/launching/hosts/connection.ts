import type { ChildProcess } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { readCode } from '../../util/error-codes.js';
import { UserError } from '../../util/errors.js';
import type { HostSlots } from './host-list.js';
import { fromHost, receive, send, type FromHost, type ToHost, type WorkerEnd } from './messages.js';
import { reachHost, whyNotReached } from './reach-host.js';

export type Hello = Extract<FromHost, { type: 'hello' }>;
export type Ready = Extract<FromHost, { type: 'ready' }>;
type Kind = FromHost['type'];

/** Milliseconds in which a host is to have started, and to have looked at what the job needs. */
const answerWithinMs = 60_000;
/** Milliseconds between two signs of life, and until a process that should end is killed. */
const pingEveryMs = 5000;
const endWithinMs = 10_000;

/** The launcher's connection to the process that works for it on one host. */
export class HostConnection {
  /** Resolves with the ends of its workers; undefined where the connection has ended before. */
  readonly ended: Promise<WorkerEnd[] | undefined>;
  /** Receives the output of its workers. */
  onOutput: (rank: number, file: 1 | 2, text: string) => void = () => {};
  private readonly child: ChildProcess;
  private readonly answers = new Map<Kind, (message: FromHost) => void>();
  private readonly closed: Promise<void>;
  private readonly timer: NodeJS.Timeout;
  private said = '';
  private failure: { code: number | null; error?: Error } | undefined;

  constructor(
    readonly host: HostSlots,
    ssh: readonly string[],
  ) {
    this.child = reachHost(host.name, ssh);
    const { child } = this;
    child.stdin?.on('error', () => {});
    child.stderr?.on('data', (text: Buffer) => (this.said = `${this.said}${text.toString()}`.slice(-4000)));
    this.closed = new Promise((resolve) => {
      child.once('error', (error) => resolve(void (this.failure = { code: null, error })));
      child.once('close', (code) => resolve(void (this.failure ??= { code })));
    });
    this.ended = new Promise((resolve) => {
      this.answers.set('ended', (message) => resolve((message as Extract<FromHost, { type: 'ended' }>).ends));
      void this.closed.then(() => resolve(undefined));
    });
    if (child.stdout) void receive(child.stdout, fromHost, (message) => this.hear(message));
    this.timer = setInterval(() => this.send({ type: 'ping' }), pingEveryMs).unref();
  }

  send(message: ToHost): void {
    if (this.child.stdin) send(this.child.stdin, message);
  }

  /** Waits for the first word of the host. */
  hello(): Promise<Hello> {
    return this.answer('hello');
  }

  /** Lets the host look at what the job needs. */
  check(request: Omit<Extract<ToHost, { type: 'check' }>, 'type'>): Promise<Ready> {
    const answer = this.answer<Ready>('ready');
    this.send({ type: 'check', ...request });
    return answer;
  }

  /** Ends the process on the host, and with it what it has started. */
  async close(): Promise<void> {
    clearInterval(this.timer);
    this.child.stdin?.end();
    const late = new AbortController();
    const end = delay(endWithinMs, undefined, { signal: late.signal }).then(
      () => void this.child.kill('SIGKILL'),
      () => {},
    );
    await Promise.race([this.closed, end]);
    late.abort();
  }

  /** What has ended the connection, in a few words. */
  get lost(): string {
    const last = this.said.trim().split('\n').at(-1);
    return last || `exit code ${this.failure?.code ?? 'unknown'}`;
  }

  private hear(message: FromHost): void {
    if (message.type === 'output') return this.onOutput(message.rank, message.file, message.text);
    this.answers.get(message.type)?.(message);
  }

  private async answer<T extends FromHost>(type: T['type']): Promise<T> {
    const { name } = this.host;
    const refuse = (message: string) => new UserError('HOST_UNUSABLE', `host ${name}: ${message}`);
    const late = new AbortController();
    try {
      return await Promise.race([
        new Promise<T>((resolve, reject) => {
          this.answers.set(type, (message) => resolve(message as T));
          this.answers.set('problem', (message) => {
            const { code, message: text } = message as Extract<FromHost, { type: 'problem' }>;
            reject(new UserError(readCode(code), `host ${name}: ${text}`));
          });
        }),
        this.closed.then(() => {
          const { code = null, error } = this.failure ?? {};
          throw refuse(whyNotReached(code, this.said, error));
        }),
        delay(answerWithinMs, undefined, { signal: late.signal }).then(() =>
          Promise.reject(refuse(`no answer within ${answerWithinMs / 1000} s: is it overloaded?`)),
        ),
      ]);
    } finally {
      late.abort();
    }
  }
}
