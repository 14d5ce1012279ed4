import { ControlClient } from '../../src/job/control/client.js';
import {
  protocolVersion,
  type CoordinatorMessage,
  type WorkerMessage,
} from '../../src/job/control/protocol.js';
import { Coordinator } from '../../src/job/coordinator/coordinator.js';
import type { CoordinatorOptions } from '../../src/job/coordinator/options.js';

type Hello = Extract<WorkerMessage, { type: 'hello' }>;

/** Secret of every job in these tests. */
export const secret = 'a secret for tests';

/** One worker's control connection over a real socket, with messages that the test chooses. */
export class Client {
  private readonly control: ControlClient;
  private readonly heard: CoordinatorMessage[] = [];
  private wake = () => {};

  constructor(
    readonly rank: number,
    readonly coordinator: Pick<Coordinator, 'port'>,
    token = secret,
  ) {
    this.control = new ControlClient({
      address: `tcp://127.0.0.1:${coordinator.port}`,
      token,
      onLost: () => {},
    });
    void this.listen();
  }

  hello(changes: Partial<Hello> = {}): void {
    const about = { worldSize: 2, digest: 'config', host: 'here', machine: 'this one', pid: 1 };
    this.say({ type: 'hello', version: protocolVersion, rank: this.rank, ...about, ...changes });
  }

  say(message: WorkerMessage): void {
    this.send(message).catch(() => {});
  }

  /** Rejects if the message cannot be sent. */
  send(message: WorkerMessage): Promise<void> {
    return this.control.send(message);
  }

  /** Resolves once all messages so far are sent. */
  said(): Promise<void> {
    return this.control.sent();
  }

  /** The next message of a type; messages of other types are skipped. */
  async next<T extends CoordinatorMessage['type']>(
    type: T,
    withinMs = 20_000,
  ): Promise<Extract<CoordinatorMessage, { type: T }>> {
    const deadline = performance.now() + withinMs;
    for (;;) {
      const at = this.heard.findIndex((message) => message.type === type);
      if (at >= 0) return this.heard.splice(at, 1)[0] as Extract<CoordinatorMessage, { type: T }>;
      const left = deadline - performance.now();
      if (left <= 0) throw new Error(`rank ${this.rank} heard no ${type} within ${withinMs} ms`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  close(): void {
    void this.control.close();
  }

  private async listen(): Promise<void> {
    for await (const message of this.control.messages()) {
      this.heard.push(message);
      this.wake();
    }
  }
}

/** A coordinator and its clients, closed together. */
export class Job {
  readonly clients: Client[] = [];

  private constructor(readonly coordinator: Coordinator) {}

  static async start(options: Partial<CoordinatorOptions> = {}): Promise<Job> {
    const coordinator = await Coordinator.start({
      host: '127.0.0.1',
      port: 0,
      worldSize: 2,
      token: secret,
      transport: 'tcp',
      joinTimeoutMs: 10_000,
      stallTimeoutMs: 10_000,
      combine: (name, parts) => ({ name, parts }),
      ...options,
    });
    return new Job(coordinator);
  }

  client(rank: number, token?: string): Client {
    const client = new Client(rank, this.coordinator, token);
    this.clients.push(client);
    return client;
  }

  /** Two ranks that have joined, connected and received 'go'. */
  async running(): Promise<[Client, Client]> {
    const ranks: [Client, Client] = [this.client(0), this.client(1)];
    for (const rank of ranks) rank.hello();
    for (const rank of ranks) {
      await rank.next('plan');
      rank.say({ type: 'endpoints', endpoints: { [1 - rank.rank]: `tcp://127.0.0.1:${1000 + rank.rank}` } });
    }
    for (const rank of ranks) {
      await rank.next('table');
      rank.say({ type: 'connected' });
    }
    for (const rank of ranks) await rank.next('go');
    return ranks;
  }

  async stop(): Promise<void> {
    for (const client of this.clients) client.close();
    await this.coordinator.stop();
  }
}

/** Resolves once the coordinator has received all messages of the client. */
export async function heard(client: Client): Promise<void> {
  client.say({ type: 'clock', sent: 0 });
  await client.next('clock');
}

/** Report of a rank without a running collective. */
export const noCollectives = [{ begun: 0, name: '', forMs: 0 }];
