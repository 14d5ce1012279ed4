import { randomBytes } from 'node:crypto';
import { changeBetween } from './change.js';
import type { EventStream } from './event-stream.js';
import { emptyView, type View } from './view.js';

/**
 * Tells pages what they show. One that comes gets the whole; from then on each gets what has changed. One that comes again
 * says which state it has: if that is the last one it gets nothing, else the whole.
 */
export class Feed {
  private readonly name = randomBytes(8).toString('hex');
  private readonly streams = new Set<EventStream>();
  private view: View = emptyView;
  private count = 0;

  get isWatched(): boolean {
    return this.streams.size > 0;
  }

  /** Tells all pages what is different in a new view. */
  update(view: View): void {
    const change = changeBetween(this.view, view);
    this.view = view;
    if (!change) return;
    this.count++;
    for (const stream of this.streams) stream.send('change', change, this.id);
  }

  /** Adds a page. `known` is the id of the last event that it has. */
  add(stream: EventStream, known: string | undefined): void {
    this.streams.add(stream);
    if (known !== this.id) stream.send('state', changeBetween(emptyView, this.view) ?? {}, this.id);
  }

  remove(stream: EventStream): void {
    this.streams.delete(stream);
  }

  /** Tells all pages that nothing more comes. */
  end(reason: string): void {
    for (const stream of this.streams) {
      stream.send('end', reason, this.id);
      stream.end();
    }
  }

  private get id(): string {
    return `${this.name}-${this.count}`;
  }
}
