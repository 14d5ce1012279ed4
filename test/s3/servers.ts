import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  createServer,
  request as connect,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { needs } from '../needs.js';

/** Python with moto, an S3 server. */
const python = process.env.POD_DIST_PYTHON ?? 'python3';
const there = spawnSync(python, ['-c', 'import flask, moto.server'], { stdio: 'ignore' }).status === 0;

export const needsMoto = needs('Python with moto[server] (POD_DIST_PYTHON names one)', there);

/** Variables with which a process reaches only this server. */
export function environmentOf(url: string): Record<string, string> {
  return {
    AWS_ENDPOINT_URL: url,
    AWS_ACCESS_KEY_ID: 'key',
    AWS_SECRET_ACCESS_KEY: 'secret',
    AWS_REGION: 'us-east-1',
    AWS_EC2_METADATA_DISABLED: 'true',
  };
}

/** An authorization header, which moto does not verify. */
const authorization =
  'AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0';

/** A server that keeps objects in memory. */
export class ObjectServer {
  private constructor(
    private readonly child: ChildProcess,
    readonly url: string,
  ) {}

  static async start(): Promise<ObjectServer> {
    const port = await freePort();
    const child = spawn(python, ['-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)], {
      stdio: 'ignore',
    });
    const server = new ObjectServer(child, `http://127.0.0.1:${port}`);
    for (let tries = 0; tries < 600; tries++) {
      if (
        await fetch(server.url).then(
          () => true,
          () => false,
        )
      )
        return server;
      if (child.exitCode !== null) break;
      await sleep(100);
    }
    await server.close();
    throw new Error('moto has not started');
  }

  /** Creates a bucket such as `things`, or an object such as `things/folder/one`. */
  async put(path: string, body: Uint8Array | string = ''): Promise<void> {
    const options = { method: 'PUT', headers: { authorization }, body: Buffer.from(body) };
    const { ok, status } = await fetch(`${this.url}/${path}`, options);
    if (!ok) throw new Error(`${path}: ${status}`);
  }

  async close(): Promise<void> {
    if (this.child.exitCode !== null) return;
    this.child.kill('SIGKILL');
    await once(this.child, 'exit');
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** What the proxy does to a request. */
export type Fault = 'none' | 'busy' | 'cut' | 'silent';

/** A proxy that passes requests on, answers 503, truncates answers, or does not answer. */
export class FaultyProxy {
  /** Faults of the next requests, one each; later requests pass. */
  readonly faults: Fault[] = [];
  /** Bytes of a truncated answer that pass. */
  cutAfter = 1000;
  /** Method, path and range of every request. */
  readonly requests: { method: string; path: string; range?: string }[] = [];

  private constructor(
    private readonly server: Server,
    readonly url: string,
  ) {}

  static async start(target: string): Promise<FaultyProxy> {
    const server = createServer((request, response) => void proxy.pass(target, request, response));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const proxy = new FaultyProxy(server, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    return proxy;
  }

  private pass(target: string, request: IncomingMessage, response: ServerResponse): void {
    const { method = '', url: path = '', headers } = request;
    this.requests.push({ method, path, range: headers.range });
    const fault = this.faults.shift() ?? 'none';
    if (fault === 'silent') return;
    if (fault === 'busy') {
      request.resume();
      response.writeHead(503, { 'content-type': 'application/xml' });
      response.end('<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>');
      return;
    }
    const onward = connect(`${target}${path}`, { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      let left = fault === 'cut' ? this.cutAfter : Infinity;
      answer.on('data', (chunk: Buffer) => {
        if (left <= 0) return;
        response.write(chunk.subarray(0, Math.min(left, chunk.length)));
        left -= chunk.length;
        if (left <= 0) setTimeout(() => response.destroy(), 20);
      });
      answer.on('end', () => left > 0 && response.end());
    });
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }
}
