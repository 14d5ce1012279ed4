import { setTimeout as delay } from 'node:timers/promises';
import { ControlClient } from '../control/client.js';
import type { CoordinatorMessage, WorkerMessage } from '../control/protocol.js';
import { codeOf, messageOf, PodDistError } from '../../util/errors.js';
import { runningClock } from '../../util/running-clock.js';
import type { KnownOfSilence } from './guardian.js';
import { findSuccessor, startAhead, type Succession } from './succession.js';

export interface ControlLinkOptions {
  /** The coordinator's address, such as `tcp://127.0.0.1:29500`. */
  address: string;
  /** The job's secret. */
  token: string;
  /** Where the job goes on after the loss of its coordinator; undefined: the worker ends with it. */
  succession(): Succession | undefined;
  /** This host's address, as other hosts reach it. */
  host(): string | undefined;
  /** First message to a coordinator; `again`: to one that takes over. */
  hello(again: boolean): WorkerMessage;
  /** Place in the order of those that start the process which takes over; undefined where none is to. */
  order(): number | undefined;
  /** Whether the compute thread is in no configuration. */
  isAway(): boolean;
  follow(message: CoordinatorMessage): Promise<void> | void;
  /** Called when the coordinator is lost and another one is looked for. */
  onOrphaned(error: PodDistError): void;
  /** Called once the next one is found, with its address. */
  onFound(address: string): void;
  /** Called once the coordinator is lost for good. */
  onLost(error: PodDistError): void;
  /** Called where the connection fails through a fault of this worker, or of what the coordinator sends. */
  onFailure(error: PodDistError): void;
}

type RecordMessage = Extract<WorkerMessage, { type: 'record' }>;

const lookEveryMs = 50;
/** Milliseconds that the compute thread may take to leave a configuration that goes on without it. */
const leaveWithinMs = 30_000;

/**
 * A worker's connection to its coordinator, and to the one that takes over when that is lost. Records that the lost one has
 * not confirmed are sent to the next one.
 */
export class ControlLink {
  private client: ControlClient;
  private address = '';
  /** Records that are not confirmed, in order, and the number of those before them on this connection. */
  private unconfirmed: RecordMessage[] = [];
  private confirmed = 0;
  private seeking = false;
  /** When the coordinator was last heard of. */
  private heardAt = runningClock.now();
  private closed = false;
  private readonly closing = new AbortController();

  constructor(private readonly options: ControlLinkOptions) {
    this.client = this.open(options.address);
    this.post(options.hello(false));
  }

  /** Whether there is a coordinator, as far as is known. */
  get isUp(): boolean {
    return !this.seeking;
  }

  /** Sends a message; while a coordinator is looked for only records are kept. Rejects where it cannot be sent. */
  async send(message: WorkerMessage): Promise<void> {
    if (message.type === 'record' && this.options.succession()) this.unconfirmed.push(message);
    const { client } = this;
    if (this.seeking) return;
    try {
      await client.send(message);
    } catch (error) {
      if (client === this.client && !this.seeking) throw error;
    }
  }

  /** Gives the coordinator up, as one that says nothing; see `lose`. */
  giveUp(reason: string, known?: KnownOfSilence): void {
    void this.lose(reason, true, known);
  }

  /** Starts whoever takes over from a coordinator that is about to be given up, where that is this worker's turn. */
  prepare(inMs: number): boolean {
    const { token, order, succession, host } = this.options;
    const place = order();
    const { folder } = succession() ?? {};
    return (
      place !== undefined && !this.seeking && startAhead({ folder, token, order: place, host: host() }, inMs)
    );
  }

  /** The job goes on without this worker: it leaves its configuration, and asks the coordinator for another place. */
  comeAgain(reason: string): void {
    void this.seek(new PodDistError('COORDINATOR_LOST', reason), async () => {
      const deadline = runningClock.now() + leaveWithinMs;
      while (!this.options.isAway() && runningClock.now() < deadline)
        await delay(lookEveryMs, undefined, { signal: this.closing.signal });
      return this.options.isAway() ? this.address : undefined;
    });
  }

  /** Sends what is under way, and ends the connection. */
  async close(): Promise<void> {
    this.closed = true;
    this.closing.abort();
    await this.client.sent();
    await this.client.close();
  }

  private open(address: string): ControlClient {
    const { token } = this.options;
    this.address = address;
    const onLost = () => void this.lose(`the connection to the coordinator at ${address} ended`, false);
    const client = new ControlClient({ address, token, onLost });
    void this.listen(client);
    return client;
  }

  private async listen(client: ControlClient): Promise<void> {
    try {
      for await (const message of client.messages()) {
        this.heardAt = runningClock.now();
        if (message.type === 'pulse') this.confirm(message.records);
        await this.options.follow(message);
      }
    } catch (error) {
      if (client !== this.client || this.closed) return;
      this.options.onFailure(
        error instanceof PodDistError ? error : new PodDistError('COORDINATOR_LOST', messageOf(error)),
      );
    }
  }

  private confirm(records: number): void {
    if (!this.options.succession() || records <= this.confirmed) return;
    this.unconfirmed.splice(0, records - this.confirmed);
    this.confirmed = records;
  }

  /** The coordinator is lost: looks for the one that takes over, where the job goes on. */
  private async lose(reason: string, silent: boolean, known?: KnownOfSilence): Promise<void> {
    const { token, order, onLost } = this.options;
    if (this.closed || this.seeking) return;
    const error = new PodDistError('COORDINATOR_LOST', reason);
    const place = order();
    const succession = this.options.succession();
    if (!succession || place === undefined) return onLost(error);
    await this.seek(error, () =>
      findSuccessor({
        ...succession,
        ...{ token, order: place, silent, ...known, since: this.heardAt },
        host: this.options.host(),
        signal: this.closing.signal,
      }),
    );
  }

  /** Leaves the present coordinator, and joins again at the address that `find` comes to; without one the worker ends. */
  private async seek(error: PodDistError, find: () => Promise<string | undefined>): Promise<void> {
    const { hello, onOrphaned, onLost, onFound } = this.options;
    if (this.closed || this.seeking) return;
    this.seeking = true;
    onOrphaned(error);
    try {
      await this.client.drop();
      const address = await find();
      if (this.closed) return;
      if (address === undefined) return onLost(error);
      this.client = this.open(address);
      this.confirmed = 0;
      this.seeking = false;
      onFound(address);
      this.post(hello(true));
      for (const record of this.unconfirmed) this.post(record);
    } catch (failure) {
      onLost(failure instanceof PodDistError ? failure : error);
    }
  }

  private post(message: WorkerMessage): void {
    this.client.send(message).catch((error: unknown) => {
      if (!this.closed && !this.seeking)
        this.options.onFailure(new PodDistError(codeOf(error), messageOf(error)));
    });
  }
}
