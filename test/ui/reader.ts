import type { Change } from '../../src/ui/change.js';

export interface Told {
  event: string;
  id: string;
  data: unknown;
}

/** Reads server-sent events. */
export class EventReader {
  private readonly told: Told[] = [];
  private waiting: (() => void) | undefined;
  /** Whether the server has ended the stream. */
  isOver = false;

  private constructor(
    readonly status: number,
    private readonly stop: AbortController,
  ) {}

  static async open(url: string, lastId?: string): Promise<EventReader> {
    const stop = new AbortController();
    const headers: Record<string, string> = lastId === undefined ? {} : { 'last-event-id': lastId };
    const response = await fetch(url, { headers, signal: stop.signal });
    const reader = new EventReader(response.status, stop);
    void reader.read(response).catch(() => undefined);
    return reader;
  }

  close(): void {
    this.stop.abort();
  }

  /** The next event with this name, or with a name that matches. */
  async next(event: string | RegExp, withinMs = 60_000): Promise<Told> {
    const deadline = performance.now() + withinMs;
    for (;;) {
      const at = this.told.findIndex((one) =>
        typeof event === 'string' ? one.event === event : event.test(one.event),
      );
      const [found] = at < 0 ? [] : this.told.splice(0, at + 1).slice(-1);
      if (found) return found;
      const left = deadline - performance.now();
      if (this.isOver || left < 0) throw new Error(`no event ${String(event)}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.waiting = () => (clearTimeout(timer), resolve());
      });
    }
  }

  /** The next change that fulfils the condition. */
  async until(isSo: (change: Change) => boolean): Promise<Change & { id: string }> {
    for (;;) {
      const { data, id } = await this.next('change');
      if (isSo(data as Change)) return { ...(data as Change), id };
    }
  }

  /** Events that have arrived and have not been read. */
  get unread(): readonly Told[] {
    return this.told;
  }

  private async read(response: Response): Promise<void> {
    let text = '';
    try {
      for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
        text += Buffer.from(chunk).toString('utf8');
        const messages = text.split('\n\n');
        text = messages.pop() ?? '';
        for (const message of messages) this.take(message);
        this.waiting?.();
      }
    } finally {
      this.isOver = true;
      this.waiting?.();
    }
  }

  private take(message: string): void {
    const fields = new Map(
      message.split('\n').map((line): [string, string] => {
        const colon = line.indexOf(': ');
        return [line.slice(0, colon), line.slice(colon + 2)];
      }),
    );
    const data = fields.get('data');
    if (data === undefined) return;
    this.told.push({
      event: fields.get('event') ?? '',
      id: fields.get('id') ?? '',
      data: JSON.parse(data) as unknown,
    });
  }
}
