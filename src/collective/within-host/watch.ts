import { PodDistError } from '../../util/errors.js';
import { runningClock } from '../../util/running-clock.js';
import type { Command } from '../channel.js';
import type { StreamProgress } from '../stream.js';
import { wakeReader, type PipeEnds } from './pipes.js';
import type { CallRecord } from './record.js';

const everyMs = 250;
const slowMs = 1000;

interface WatchOptions {
  rank: number;
  record: CallRecord;
  ends: PipeEnds;
  /** Told why no rank can go on. */
  fail(error: PodDistError): void;
  /** Told from time to time that a call takes long. */
  slow(command: Command): void;
  /** Whether the engine has failed. */
  failed(): boolean;
}

/**
 * Watches, from the communication thread, the calls that the compute thread carries out itself: their deadlines, and
 * calls that other ranks make in another way. It ends the blocked read when the engine fails.
 */
export class CallWatch {
  private readonly timer: NodeJS.Timeout;
  /** The call that was under way when it was last looked, and since when it is known to be. */
  private seen = { sequence: 0, since: 0, asked: 0 };
  private woken = false;

  constructor(private readonly options: WatchOptions) {
    this.timer = setInterval(() => this.look(), everyMs);
  }

  /** Ends the read that the compute thread is blocked in, or the next one. */
  wake(): void {
    if (this.woken) return;
    this.woken = true;
    wakeReader(this.options.ends);
  }

  close(): void {
    clearInterval(this.timer);
  }

  get busy(): boolean {
    return this.options.record.busy;
  }

  get completed(): number {
    return this.options.record.completed;
  }

  get progress(): StreamProgress {
    const { record } = this.options;
    const { begun } = record;
    const forMs = record.busy && this.seen.sequence === begun ? runningClock.now() - this.seen.since : 0;
    const { kind, tag } = record.command;
    return { begun, name: forMs > 0 ? `${kind} '${tag}'` : '', forMs };
  }

  private look(): void {
    const { rank, record, fail, slow, failed } = this.options;
    if (failed()) return this.wake();
    if (!record.busy) return;
    const now = runningClock.now();
    const { command } = record;
    if (this.seen.sequence !== command.sequence) {
      this.seen = { sequence: command.sequence, since: now, asked: now };
      return;
    }
    const { kind, tag, sequence, timeoutMs } = command;
    if (now - this.seen.since >= timeoutMs) {
      fail(
        new PodDistError(
          'COLLECTIVE_TIMEOUT',
          `rank ${rank} has waited ${timeoutMs / 1000} s in ${kind} '${tag}' (collective ${sequence}) for rank ${record.waitingFor}`,
        ),
      );
    } else if (now - this.seen.asked >= slowMs) {
      this.seen.asked = now;
      slow(command);
    }
  }
}
