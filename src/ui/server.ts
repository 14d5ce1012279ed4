import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { namesOf } from '../report/run.js';
import { escapeHtml } from '../util/escape-html.js';
import { messageOf, UserError } from '../util/errors.js';
import { EventStream } from './event-stream.js';
import { Feed } from './feed.js';
import { FollowedRun } from './followed-run.js';
import { LogTail } from './log-tail.js';
import { pageFiles } from './page.js';
import { Viewer, type View } from './view.js';

const host = '127.0.0.1';
const tokenBytes = 16;
const lookEveryMs = 500;
/** The last look at the runs has this long where nothing else is said, and then the pages to take what is left. */
const lastMs = 400;

/** Connections at once, and those among them that are told of changes. */
const mostConnections = 64;
const mostStreams = 24;
const requestWithinMs = 5000;

/** Names by which a browser of this machine, or one behind `ssh -L`, asks for the page: no other site's leads here. */
const hostNames = ['127.0.0.1', 'localhost', '[::1]'];

const headers = {
  'cache-control': 'no-store',
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

/**
 * A page about runs that is kept up to date, for this machine's users who have its link.
 *
 * It listens on loopback alone. The link has a token of 128 bits; without it there is nothing but 403. Runs and logs are
 * numbers in a request, looked up in tables: no path comes from one. Run folders are looked at while a page is open.
 */
export class RunServer {
  private readonly token = randomBytes(tokenBytes).toString('hex');
  private readonly feed = new Feed();
  private readonly viewer: Viewer;
  private readonly streams = new Set<ServerResponse>();
  private readonly files: ReturnType<typeof pageFiles>;
  private looking: Promise<void> | undefined;
  private ended = false;

  private constructor(
    private readonly runs: readonly FollowedRun[],
    private readonly server: Server,
  ) {
    this.viewer = new Viewer(runs);
    this.files = pageFiles(runs.map(({ drawn }) => drawn.name));
    server.on('request', (request, response) => this.answer(request, response));
  }

  /**
   * Begins to serve the runs in these folders.
   *
   * @param port 0 for one that is free
   * @throws UserError `PORT_IN_USE`, or `ADDRESS_INVALID` where it cannot be listened on
   */
  static async open(folders: readonly string[], port: number): Promise<RunServer> {
    const names = namesOf(folders);
    const runs = folders.map((folder, index) => new FollowedRun(folder, names[index] ?? folder));
    const server = createServer({ requestTimeout: requestWithinMs, headersTimeout: requestWithinMs });
    server.maxConnections = mostConnections;
    const own = new RunServer(runs, server);
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => reject(refusal(error, port)));
      server.listen(port, host, resolve);
    });
    void own.watch();
    return own;
  }

  get link(): string {
    return `http://${host}:${(this.server.address() as AddressInfo).port}/${this.token}/`;
  }

  /** Shows what is new for the last time, tells the pages why nothing more comes, and ends. */
  async close(reason: string, withinMs = lastMs): Promise<void> {
    if (this.ended) return;
    this.ended = true;
    if (this.feed.isWatched)
      await Promise.race([this.lookForLast(), delay(withinMs, undefined, { ref: false })]);
    this.feed.end(reason);
    const gone = new Promise((resolve) => this.server.close(resolve));
    this.server.closeIdleConnections();
    for (const response of this.streams) response.end();
    await Promise.race([gone, delay(lastMs, undefined, { ref: false })]);
    this.server.closeAllConnections();
    for (const run of this.runs) run.close();
  }

  private async watch(): Promise<void> {
    while (!this.ended) {
      if (this.feed.isWatched) await this.look();
      await delay(lookEveryMs, undefined, { ref: false });
    }
  }

  /** Looks again where a look was under way when the runs ended, and once pictures are there. */
  private async lookForLast(): Promise<void> {
    await this.looking;
    await this.look();
    await Promise.all(this.runs.map((run) => run.pictured()));
    await this.look();
  }

  private look(): Promise<void> {
    this.looking ??= this.lookOnce().finally(() => (this.looking = undefined));
    return this.looking;
  }

  private async lookOnce(): Promise<void> {
    for (const run of this.runs) await run.look();
    this.feed.update(this.view());
  }

  /** What the pages show; of runs that cannot be drawn, why. */
  private view(): View {
    try {
      return this.viewer.view();
    } catch (error) {
      return { html: new Map([['gaps', escapeHtml(messageOf(error))]]), charts: new Map() };
    }
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    const refuse = (status: number, text: string) =>
      void response.writeHead(status, { 'content-type': 'text/plain' }).end(`${text}\n`);
    const name = (request.headers.host ?? '').replace(/:\d+$/, '');
    const [, token = '', ...path] = (request.url ?? '').split('?')[0]?.split('/') ?? [];
    if (!hostNames.includes(name)) return refuse(403, 'this page is for this machine');
    if (!isEqual(token, this.token))
      return refuse(403, 'the link lacks its token: see what pod-dist has printed');
    if (request.method !== 'GET') return refuse(405, 'only GET');
    const file = this.files.get(path.join('/'));
    if (file && path.length === 1) {
      response.writeHead(200, { 'content-type': file.type }).end(file.body);
      return;
    }
    const log = this.logOf(path);
    if (path.join('/') !== 'events' && log === undefined) return refuse(404, 'not found');
    if (this.ended || this.streams.size >= mostStreams) return refuse(503, 'too many pages');
    this.streams.add(response);
    response.on('close', () => this.streams.delete(response));
    const known = request.headers['last-event-id'];
    const lastId = typeof known === 'string' ? known : undefined;
    if (log !== undefined) this.sendLog(log, response, lastId);
    else void this.sendEvents(response, lastId);
  }

  private async sendEvents(response: ServerResponse, known: string | undefined): Promise<void> {
    const stream = new EventStream(response, () => this.feed.remove(stream));
    await this.look();
    if (!response.destroyed && !this.ended) this.feed.add(stream, known);
  }

  private sendLog(path: string, response: ServerResponse, known: string | undefined): void {
    const stream = new EventStream(response, () => tail.close());
    const tail = new LogTail(path, stream, known);
  }

  /** The file that `log/<run>/<log>` stands for. */
  private logOf([kind, run, log, ...rest]: readonly string[]): string | undefined {
    if (kind !== 'log' || rest.length > 0) return undefined;
    const one = this.runs[placeIn(run)];
    const name = one?.logs[placeIn(log)];
    return one && name && join(one.folder, 'logs', name);
  }
}

/** A place in a table that a request names; -1 for what is no number. */
function placeIn(text: string | undefined): number {
  return text !== undefined && /^\d{1,5}$/.test(text) ? Number(text) : -1;
}

/** Compares secrets in a time that does not tell where they differ. */
function isEqual(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

function refusal(error: NodeJS.ErrnoException, port: number): UserError {
  if (error.code === 'EADDRINUSE')
    return new UserError('PORT_IN_USE', `port ${port} of ${host} is taken: give another --port`);
  return new UserError('ADDRESS_INVALID', `cannot listen on ${host}:${port}: ${messageOf(error)}`);
}
