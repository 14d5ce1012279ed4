import { setTimeout as delay } from 'node:timers/promises';
import type { JobEnd } from '../record/job-end.js';
import { messageOf, UserError } from '../util/errors.js';
import { beginning, PlaceFile } from './place.js';
import { RunReader, type Batch } from './run-reader.js';
import type { LoggedRun, Sink, SinkKind } from './sink.js';

const firstPauseMs = 1000;
const longestPauseMs = 30_000;

/**
 * Takes one sink through a run: opens it, hands it what it does not have yet, and writes down how far it is.
 *
 * A sink that fails gets the same entries again, after a second, two, four and so on up to half a minute. The rest of the
 * run waits for it on disk.
 */
export class Follower {
  private readonly file: PlaceFile;
  private reader: RunReader | undefined;
  private sink: Sink | undefined;
  /** Entries that the sink has not taken. */
  private waiting: Batch | undefined;
  private failures = 0;
  private notBefore = 0;
  /** Why the sink does not take anything. */
  private trouble: string | undefined;

  constructor(
    readonly name: string,
    private readonly kind: SinkKind,
    private readonly run: LoggedRun,
    private readonly say: (line: string) => void,
  ) {
    this.file = new PlaceFile(run.folder, name);
  }

  /**
   * Opens the sink, or leaves it for later where that fails for now.
   *
   * @throws UserError for a mistake in its settings
   */
  async open(): Promise<void> {
    try {
      await this.opened();
    } catch (error) {
      if (error instanceof UserError) throw error;
      this.failed(error);
    }
  }

  /** Hands the sink what is new. */
  async follow(): Promise<void> {
    if (performance.now() < this.notBefore) return;
    while (await this.attempt(() => this.handOver()));
  }

  /**
   * Hands over the rest, and ends the sink. One that fails is tried again for as long as `withinMs`. Resolves with a line
   * about what it does not have, where that is so.
   */
  async close(ended: JobEnd | undefined, withinMs: number): Promise<string | undefined> {
    const deadline = performance.now() + withinMs;
    for (;;) {
      this.notBefore = 0;
      await this.follow();
      if (this.trouble === undefined || performance.now() + firstPauseMs > deadline) break;
      await delay(firstPauseMs);
    }
    const closed =
      this.trouble === undefined && (await this.attempt(async () => (await this.end(ended), true)));
    this.reader?.close();
    if (closed) return undefined;
    const line = `${this.name} does not have all of the run: ${this.trouble}; the rest waits in ${this.run.folder}`;
    this.say(line);
    return line;
  }

  private async end(ended: JobEnd | undefined): Promise<void> {
    await this.sink?.close(ended);
    this.sink = undefined;
  }

  private async opened(): Promise<{ reader: RunReader; sink: Sink }> {
    this.reader ??= new RunReader(this.run, this.kind.forgets ? beginning : this.file.place);
    this.sink ??= await this.kind.open(this.run, {
      step: this.reader.at.steps,
      kept: this.file.kept,
      keep: (value) => this.file.keep(value),
      say: this.say,
    });
    return { reader: this.reader, sink: this.sink };
  }

  /** Whether there may be more. */
  private async handOver(): Promise<boolean> {
    const { reader, sink } = await this.opened();
    const batch = (this.waiting ??= reader.next());
    if (batch.entries.length === 0) {
      this.waiting = undefined;
      return false;
    }
    await sink.write(batch.entries);
    this.waiting = undefined;
    if (!this.kind.forgets) this.file.move(batch.place);
    return true;
  }

  /** The result of `work`; false where it fails for now. */
  private async attempt(work: () => Promise<boolean>): Promise<boolean> {
    try {
      const result = await work();
      if (this.trouble !== undefined) this.say(`${this.name} is there again`);
      this.trouble = undefined;
      this.failures = 0;
      return result;
    } catch (error) {
      this.failed(error);
      return false;
    }
  }

  private failed(error: unknown): void {
    this.notBefore = performance.now() + Math.min(firstPauseMs * 2 ** this.failures++, longestPauseMs);
    if (this.trouble === undefined)
      this.say(`${this.name}: ${messageOf(error)}; the training goes on, and what it misses comes later`);
    this.trouble = messageOf(error);
  }
}
