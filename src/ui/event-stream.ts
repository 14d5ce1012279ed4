import type { ServerResponse } from 'node:http';

/** Bytes that may wait for a client: more, and it is dropped. It comes again by itself and gets the whole. */
const mostWaitingBytes = 32 * 2 ** 20;
const beatEveryMs = 10_000;
const comeAgainMs = 1000;

/** Server-sent events to one client. */
export class EventStream {
  private readonly beat: NodeJS.Timeout;

  constructor(
    private readonly response: ServerResponse,
    onClose: () => void,
  ) {
    response.writeHead(200, { 'content-type': 'text/event-stream', connection: 'close' });
    response.write(`retry: ${comeAgainMs}\n\n`);
    this.beat = setInterval(() => this.write(':\n\n'), beatEveryMs).unref();
    response.on('close', () => {
      clearInterval(this.beat);
      onClose();
    });
  }

  /** Sends a value; `id` is what the client names when it comes again. */
  send(event: string, value: unknown, id: string): void {
    this.write(`id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(value)}\n\n`);
  }

  /** Ends the stream once all is sent. */
  end(): void {
    this.response.end();
  }

  private write(text: string): void {
    if (this.response.writableEnded || this.response.destroyed) return;
    this.response.write(text);
    if (this.response.writableLength > mostWaitingBytes) this.response.destroy();
  }
}
