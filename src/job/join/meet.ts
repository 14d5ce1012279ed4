import { lookup } from 'node:dns/promises';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { eventsEnd, prepareSockets, socketsClosed } from '../../transport/zmq/sockets.js';
import { controlSocket } from '../control/client.js';
import { messageOf, PodDistError, UserError } from '../../util/errors.js';
import { canonicalHost, tcpAddress } from '../../transport/addresses.js';

export interface MeetOptions {
  rank: number;
  /** The coordinator's address as the environment gives it. */
  host: string;
  port: number;
  timeoutMs: number;
  /** Finds candidates for the job's secret; called again until one fits. */
  secrets(): readonly string[];
  /** Advice for the error if `secrets` finds none. */
  withoutSecret: string;
  /** Called once, with one line, if the wait takes long, or the host's name is not known. */
  notify(line: string): void;
}

export interface Meeting {
  /** The job's secret. */
  token: string;
  /** The coordinator's address. */
  address: string;
  /** Its IP address. */
  reached: string;
  /** Own IP address on the route to it. */
  local: string;
}

const attemptMs = 5000;
const againMs = 200;
const noticeAfterMs = 10_000;

/**
 * Finds the coordinator of a job: its address, the own address on the route to it, and the job's secret. A rank may come
 * before the coordinator, and may find a secret that an earlier job has left; so it tries until the coordinator takes a
 * secret. CURVE ends the handshake of a wrong one.
 *
 * Rejects with `JOIN_TIMEOUT` past the deadline, saying what stood in the way.
 */
export async function meet(options: MeetOptions): Promise<Meeting> {
  const { rank, host, port, timeoutMs, notify } = options;
  const began = performance.now();
  let noticed = false;
  for (;;) {
    const found = await attempt(options);
    if (!('reason' in found)) return found;
    const waited = performance.now() - began;
    if (waited > timeoutMs) {
      const where = `rank ${rank} could not join the job at ${host}:${port} within ${timeoutMs / 1000} s`;
      throw new PodDistError('JOIN_TIMEOUT', `${where}: ${found.reason}`);
    }
    if (!noticed && (found.unknownName || waited > noticeAfterMs)) {
      noticed = true;
      notify(`rank ${rank} waits for rank 0: ${found.reason}`);
    }
    await delay(againMs);
  }
}

/**
 * Refuses a name that this host does not know: for one that Slurm has given, which will not become known while one waits,
 * as the names of containers that are still starting may.
 *
 * @throws UserError `ENVIRONMENT_INVALID`
 */
export async function checkKnown(host: string): Promise<void> {
  try {
    await lookup(host);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOTFOUND') throw new UserError('ENVIRONMENT_INVALID', unknownName(host));
  }
}

/** Why an attempt has failed. */
interface Obstacle {
  reason: string;
  /** The host's name could not be looked up. */
  unknownName?: boolean;
}

async function attempt({ host, port, secrets, withoutSecret }: MeetOptions): Promise<Meeting | Obstacle> {
  let route: Route;
  try {
    route = await findRoute(host, port);
  } catch (error) {
    return explain(error, host, port);
  }
  const { local, remote: reached } = route;
  const address = tcpAddress(reached, port);
  const candidates = secrets();
  for (const token of candidates) if (await takes(address, token)) return { token, address, reached, local };
  const reason =
    candidates.length === 0
      ? withoutSecret
      : `who listens at ${address} does not take this rank's secret: is POD_DIST_TOKEN the same on every host, and the port no other program's?`;
  return { reason };
}

interface Route {
  local: string;
  remote: string;
}

/** Connects to an address and back off; rejects with the system's error. */
export function findRoute(host: string, port: number): Promise<Route> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, autoSelectFamily: true });
    const fail = (error: Error) => {
      socket.destroy();
      reject(error);
    };
    socket.setTimeout(attemptMs, () => fail(Object.assign(new Error(), { code: 'ETIMEDOUT' })));
    socket.once('error', fail);
    socket.once('connect', () => {
      const { localAddress = '', remoteAddress = '', localPort } = socket;
      const route = { local: canonicalHost(localAddress), remote: canonicalHost(remoteAddress) };
      // TCP lets a port of the ephemeral range connect to itself where nothing listens on it.
      if (localPort === port && route.local === route.remote)
        return fail(Object.assign(new Error(), { code: 'ECONNREFUSED' }));
      socket.destroy();
      resolve(route);
    });
  });
}

/** Whether the coordinator there takes a secret. */
export async function takes(address: string, token: string): Promise<boolean> {
  prepareSockets();
  const socket = controlSocket(address, token);
  const ended = eventsEnd(socket);
  const answer = new Promise<boolean>((resolve) => {
    const refused = () => resolve(false);
    socket.events.on('handshake', () => resolve(true));
    socket.events.on('handshake:error:protocol', refused);
    socket.events.on('handshake:error:auth', refused);
    socket.events.on('handshake:error:other', refused);
  });
  socket.connect(address);
  const late = new AbortController();
  const taken = await Promise.race([answer, delay(attemptMs, false, { signal: late.signal })]);
  late.abort();
  socket.linger = 0;
  socket.close();
  await ended;
  await socketsClosed();
  return taken;
}

function explain(error: unknown, host: string, port: number): Obstacle {
  const { code, errors } = error as NodeJS.ErrnoException & { errors?: NodeJS.ErrnoException[] };
  const where = `${host}:${port}`;
  switch (code ?? errors?.[0]?.code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return { reason: unknownName(host), unknownName: true };
    case 'ECONNREFUSED':
      return { reason: `nothing listens at ${where}: is rank 0 running there?` };
    case 'ETIMEDOUT':
      return { reason: `no answer from ${where}: is there a firewall in between?` };
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return {
        reason: `there is no route to ${where}: set MASTER_ADDR to an address of rank 0 that this host reaches`,
      };
    default:
      return { reason: `${where} cannot be reached: ${messageOf(error) || code}` };
  }
}

function unknownName(host: string): string {
  return `the name ${host} is not known on this host: set MASTER_ADDR to rank 0's address`;
}
