import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { extname, join, normalize } from 'node:path';
import { findChromium } from '../report/browser.js';

/** Path of a Chromium on this machine. */
export const chromium = findChromium();

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
};

/** Serves folders on loopback, each under its name. */
export async function serve(
  folders: Readonly<Record<string, string>>,
): Promise<{ url: string; server: Server }> {
  const server = createServer((request, response) => {
    const path = normalize(new URL(request.url ?? '/', 'http://localhost').pathname);
    const [, name, ...rest] = path.split('/');
    const folder = folders[name];
    const send = async () => {
      const bytes = await readFile(join(folder, ...rest));
      response
        .writeHead(200, { 'content-type': types[extname(path)] ?? 'application/octet-stream' })
        .end(bytes);
    };
    if (path === '/')
      response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>test</title>');
    else if (folder === undefined) response.writeHead(404).end();
    else send().catch(() => response.writeHead(404).end());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}
