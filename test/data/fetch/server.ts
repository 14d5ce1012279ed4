import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { statSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

/** A fault in the answer to one request. */
export type Fault =
  /** Ends the connection after `after` bytes, once the receiver's file has them. */
  | { kind: 'drop'; after: number; file: string }
  | { kind: 'stall'; after: number }
  | { kind: 'corrupt' }
  | { kind: 'status'; code: number }
  | { kind: 'ignore-range' }
  /** Sends without end, without a length. */
  | { kind: 'endless' }
  /** Sends `bytes` bytes every `everyMs` milliseconds, without end. */
  | { kind: 'trickle'; bytes: number; everyMs: number }
  /** Claims the length `said`. */
  | { kind: 'length'; said: number }
  | { kind: 'redirect'; to: string };

/** An HTTP server on loopback that serves files from memory, with ranges and given faults. */
export class FaultyServer {
  /** Range headers of the requests since `next`, in order; `-` for a request without one. */
  readonly ranges: string[] = [];
  private server!: Server;
  private readonly faults: Fault[] = [];

  constructor(private readonly files: Readonly<Record<string, Buffer>>) {}

  async start(): Promise<string> {
    this.server = createServer((request, response) => this.serve(request, response));
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/`;
  }

  /** Gives each of the next requests one of these faults. */
  next(...faults: Fault[]): void {
    this.ranges.length = 0;
    this.faults.splice(0, this.faults.length, ...faults);
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private serve(request: IncomingMessage, response: ServerResponse): void {
    const { range } = request.headers;
    this.ranges.push(range ?? '-');
    const fault = this.faults.shift();
    const file = this.files[(request.url ?? '').slice(1)];
    if (!file || fault?.kind === 'status') {
      response.writeHead(fault?.kind === 'status' ? fault.code : 404).end();
      return;
    }
    if (fault?.kind === 'redirect') {
      response.writeHead(302, { location: fault.to }).end();
      return;
    }
    if (fault?.kind === 'endless' || fault?.kind === 'trickle') {
      response.writeHead(200);
      void (fault.kind === 'endless'
        ? sendOn(response, file, 0)
        : sendOn(response, file.subarray(0, fault.bytes), fault.everyMs));
      return;
    }
    const start = range && fault?.kind !== 'ignore-range' ? Number(/\d+/.exec(range)?.[0]) : 0;
    if (start >= file.length) {
      response.writeHead(416, { 'content-range': `bytes */${file.length}` }).end();
      return;
    }
    const body = Buffer.from(file.subarray(start));
    if (fault?.kind === 'corrupt') body[body.length >> 1] ^= 1;
    const headers: Record<string, string | number> = { 'content-length': body.length };
    if (fault?.kind === 'length') headers['content-length'] = fault.said;
    if (start > 0) headers['content-range'] = `bytes ${start}-${file.length - 1}/${file.length}`;
    response.writeHead(start > 0 ? 206 : 200, headers);
    if (fault?.kind === 'drop' || fault?.kind === 'stall') {
      response.write(body.subarray(0, fault.after), () => {
        if (fault.kind === 'drop') {
          void holds(fault.file, start + fault.after).then(() => response.destroy());
        }
      });
    } else if (fault?.kind === 'length') {
      response.write(body.subarray(0, fault.said), () => response.destroy());
    } else response.end(body);
  }
}

/** Sends the same bytes repeatedly until the client closes. */
async function sendOn(response: ServerResponse, bytes: Buffer, everyMs: number): Promise<void> {
  const closed = once(response, 'close');
  while (!response.destroyed) {
    if (response.write(bytes)) await pause(everyMs);
    else await Promise.race([once(response, 'drain'), closed]);
  }
}

/** Resolves when the file has `bytes` bytes, or after ten seconds. */
async function holds(file: string, bytes: number): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (performance.now() < deadline) {
    if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) >= bytes) return;
    await pause(5);
  }
}
