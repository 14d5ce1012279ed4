import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf, UserError } from '../../util/errors.js';
import type { LogEntry, LoggedRun, Sink, SinkKind, SinkStart } from '../sink.js';
import { RunMetrics } from './metrics.js';

/** The last values are there for another scrape after the end of the run: for as long as this, or until one has come. */
const lastScrapeMs = 3000;

/** Answers Prometheus at `metrics`, on loopback unless the setting names a host. */
class Prometheus implements Sink {
  private scraped: (() => void) | undefined;

  private constructor(
    private readonly metrics: RunMetrics,
    private readonly server: Server,
  ) {}

  static async open(run: LoggedRun, { say }: SinkStart): Promise<Prometheus> {
    const metrics = new RunMetrics(run);
    const { host, port } = addressOf(run.config.metrics ?? 0);
    const server = createServer();
    const sink = new Prometheus(metrics, server);
    server.on('request', (request, response) => {
      if (request.method !== 'GET' || request.url?.split('?')[0] !== '/metrics') {
        response.writeHead(404).end('see /metrics\n');
        return;
      }
      void metrics.text().then((text) => {
        response.writeHead(200, { 'content-type': metrics.contentType }).end(text);
        sink.scraped?.();
      });
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => reject(refusal(error, host, port)));
      server.listen(port, host, resolve);
    });
    if (port === 0) say(`metrics: http://${host}:${(server.address() as AddressInfo).port}/metrics`);
    return sink;
  }

  async write(entries: readonly LogEntry[]): Promise<void> {
    for (const { record, time } of entries) this.metrics.add(record, time);
  }

  async close(): Promise<void> {
    const last = new Promise<void>((resolve) => void (this.scraped = resolve));
    await Promise.race([last, delay(lastScrapeMs)]);
    this.server.close();
    this.server.closeIdleConnections();
  }
}

function addressOf(setting: number | string): { host: string; port: number } {
  const colon = String(setting).lastIndexOf(':');
  if (colon < 0) return { host: '127.0.0.1', port: Number(setting) };
  const host = String(setting).slice(0, colon);
  return { host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(String(setting).slice(colon + 1)) };
}

function refusal(error: NodeJS.ErrnoException, host: string, port: number): UserError {
  if (error.code === 'EADDRINUSE')
    return new UserError('PORT_IN_USE', `metrics: port ${port} of ${host} is taken: give another one`);
  return new UserError('ADDRESS_INVALID', `metrics: cannot listen on ${host}:${port}: ${messageOf(error)}`);
}

export const prometheus: SinkKind = { forgets: true, open: (run, start) => Prometheus.open(run, start) };
