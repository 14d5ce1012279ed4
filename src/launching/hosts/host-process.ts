import { createHash, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { fileURLToPath } from 'node:url';
import { configDigest, loadConfig } from '../../config/load.js';
import { importPlugins } from '../../config/plugins.js';
import { findRoute } from '../../job/join/meet.js';
import type { Override } from '../../config/layer.js';
import { messageOf, reportOf, UserError } from '../../util/errors.js';
import { runningClock } from '../../util/running-clock.js';
import { LocalWorkers } from './local-workers.js';
import { receive, send, toHost, type FromHost, type ToHost } from './messages.js';

/** Milliseconds without a word of the launcher after which it counts as lost. */
const silentMs = 30_000;
const lookEveryMs = 1000;

/** Ports for rank 0, below those that systems give to whoever asks for none. */
const [firstPort, endPort] = [20_000, 32_000];

type Check = Extract<ToHost, { type: 'check' }>;

/** SHA-256 of the program that runs here. */
export function buildDigest(): string {
  const cli = fileURLToPath(new URL('../../../launcher/cli.js', import.meta.url));
  const bundle = fileURLToPath(new URL('../../../bundle/main.cjs', import.meta.url));
  return createHash('sha256')
    .update(readFileSync(existsSync(bundle) ? bundle : cli))
    .digest('hex');
}

/**
 * Works for a launcher of another host, or of this one, that has started this process: looks whether this host is as the job
 * needs it, starts its workers, and hands on what they print. Resolves when they have ended. Where the launcher is lost (its
 * process, the connection, or half a minute without a word), the workers end.
 */
export async function serveLauncher(version: string): Promise<void> {
  const tell = (message: FromHost) => send(process.stdout, message);
  const server = await listen();
  let workers: LocalWorkers | undefined;
  let done: Promise<void> | undefined;
  let paused = false;
  let heard = runningClock.now();
  const start = async (message: Extract<ToHost, { type: 'start' }>) => {
    server.close();
    workers = new LocalWorkers(message.workers, (rank, file, text) =>
      tell({ type: 'output', rank, file, text }),
    );
    tell({ type: 'ended', ends: await workers.ended() });
  };
  const obey = (message: ToHost) => {
    heard = runningClock.now();
    if (message.type === 'check') void check(message).then(tell);
    if (message.type === 'start') done = start(message);
    if (message.type === 'signal') workers?.signal(message.name as NodeJS.Signals);
    if (message.type === 'pause') {
      paused = message.paused;
      workers?.signal(paused ? 'SIGSTOP' : 'SIGCONT');
    }
  };
  const silent = new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      if (paused || runningClock.now() - heard < silentMs) return;
      clearInterval(timer);
      resolve();
    }, lookEveryMs).unref();
  });
  const gone = Promise.race([receive(process.stdin, toHost, obey), silent]);
  const { port } = server.address() as { port: number };
  tell({
    type: 'hello',
    version,
    build: buildDigest(),
    node: process.version,
    port,
    connection: sshConnection(),
  });
  await gone;
  server.close();
  await workers?.leave();
  await done;
}

/** Addresses of the connection by which `ssh` has started this process. */
function sshConnection(): { from: string; to: string } | undefined {
  const [from, , to] = (process.env.SSH_CONNECTION ?? '').split(' ');
  return from && to ? { from, to } : undefined;
}

/** Listens on a free port until the workers start, so that other hosts can try to reach it. */
async function listen(): Promise<Server> {
  for (;;) {
    const server = createServer((socket) => socket.destroy());
    server.listen(randomInt(firstPort, endPort));
    try {
      await once(server, 'listening');
      return server;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    }
  }
}

/** Whether this host reads the same configuration, has the data, and reaches rank 0's host. */
async function check({ file, set, flags, meeting }: Check): Promise<FromHost> {
  try {
    const given = { file, set, flags: flags as Override[] };
    const imported = await importPlugins(given);
    const config = loadConfig({ ...given, flags: [...given.flags, ...imported] });
    for (const [name, path] of Object.entries(pathsOf(config)))
      if (!existsSync(path))
        throw new UserError(
          'DATA_NOT_FOUND',
          `${name} ${path} is not there: put it at the same path on every host, or set ${name} to a shared folder`,
        );
    if (meeting) await reach(meeting);
    return { type: 'ready', digest: configDigest(config), elastic: config.elastic.enabled };
  } catch (error) {
    return { type: 'problem', ...reportOf(error) };
  }
}

/** Folders that a configuration names, by setting. */
function pathsOf({ data, evaluation }: ReturnType<typeof loadConfig>): Record<string, string> {
  const { root } = data as { root?: string };
  return {
    ...(root !== undefined && { 'data.root': root }),
    ...(evaluation.unknown !== undefined && { 'evaluation.unknown': evaluation.unknown }),
  };
}

async function reach({ host, port }: { host: string; port: number }): Promise<void> {
  try {
    await findRoute(host, port);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === 'ETIMEDOUT' ? 'no answer' : messageOf(error) || code;
    throw new UserError(
      'HOST_UNUSABLE',
      `it does not reach rank 0 at ${host}:${port} (${why}): open that port, or name another address of rank 0 with --rendezvous HOST:PORT`,
    );
  }
}
