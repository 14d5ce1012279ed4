import type { Override } from '../../config/layer.js';
import { newSecret } from '../../job/secret/read-secret.js';
import { isLoopback } from '../../transport/addresses.js';
import { PodDistError, StoppedError, UserError } from '../../util/errors.js';
import { followSignals, followSuspension } from '../../util/signals.js';
import { HostConnection, type Hello } from './connection.js';
import type { HostSlots } from './host-list.js';
import { buildDigest } from './host-process.js';
import type { Meeting, PlacedEnd } from './worker-ends.js';
import { isHere } from './reach-host.js';

const killAfterMs = 5000;

/** A job over several hosts, from one command. */
export interface HostsRequest {
  hosts: readonly HostSlots[];
  /** Command in place of `ssh`, with its arguments. */
  ssh: readonly string[];
  /** Recipe, `--set` and flags: every host must read the same configuration from them. */
  file?: string;
  set: readonly string[];
  flags: readonly Override[];
  /** Arguments of `pod-dist worker`. */
  args: readonly string[];
  /** Variables that are handed on to the workers. */
  variables: Readonly<Record<string, string>>;
  /** Where rank 0 listens; default: what the first host's connection shows, and a free port there. */
  meeting?: Meeting;
  /** This version of pod-dist. */
  version: string;
  notify(line: string): void;
  output(rank: number, file: 1 | 2, text: string): void;
}

/**
 * Trains over several hosts. A process on each, started by `ssh`, says what is there; only when every host has the same
 * pod-dist, reads the same configuration, has the data and reaches rank 0's host, the workers start. They end with this
 * process and with the connection to their host. The first host has rank 0, and with it the run folder.
 *
 * @returns the end of every worker, in the order in which they have ended, and whether the job is elastic
 * @throws UserError `HOST_UNUSABLE`, or what a host has found: the host, what is wrong there, and what helps
 */
export async function launchOverHosts(
  request: HostsRequest,
): Promise<{ ends: PlacedEnd[]; elastic: boolean }> {
  const { hosts, ssh } = request;
  const connections = hosts.map((host) => new HostConnection(host, ssh));
  const tell = (name: NodeJS.Signals) => connections.forEach((one) => one.send({ type: 'signal', name }));
  let asked: NodeJS.Signals | undefined;
  const following = followSignals((name) => tell((asked = name)));
  const suspending = followSuspension((paused) =>
    connections.forEach((one) => one.send({ type: 'pause', paused })),
  );
  try {
    const hellos = await all(connections, (one) => one.hello(), request);
    checkVersions(connections, hellos, request);
    const found = request.meeting ? undefined : meetingOf(connections, hellos);
    const { file, set, flags } = request;
    const readies = await all(
      connections,
      (one, index) =>
        one.check({ file, set: [...set], flags: [...flags], meeting: index > 0 ? found : undefined }),
      request,
    );
    const other = readies.findIndex(({ digest }) => digest !== readies[0]?.digest);
    if (other > 0)
      throw new UserError(
        'HOST_UNUSABLE',
        `host ${hosts[other]?.name} reads another configuration than host ${hosts[0]?.name}: give every host the same recipe file`,
      );
    if (asked) throw new StoppedError(asked);
    const meeting = found ?? (request.meeting as Meeting);
    const elastic = readies[0]?.elastic ?? false;
    return { ends: await work(connections, { ...request, meeting, elastic, tell }), elastic };
  } finally {
    await Promise.all(connections.map((one) => one.close()));
    following.stop();
    suspending.stop();
  }
}

interface Start extends HostsRequest {
  meeting: Meeting;
  elastic: boolean;
  tell(name: NodeJS.Signals): void;
}

async function work(connections: readonly HostConnection[], start: Start): Promise<PlacedEnd[]> {
  const { meeting, elastic, args, variables, notify, tell } = start;
  const worldSize = connections.reduce((sum, { host }) => sum + host.workers, 0);
  const token = newSecret();
  const ends: PlacedEnd[] = [];
  let first = 0;
  const over = connections.map((one) => {
    const { name, workers: count } = one.host;
    const ranks = Array.from({ length: count }, (_, local) => first + local);
    one.onOutput = start.output;
    const place = { first, count, worldSize, ...meeting, token, elastic };
    one.send({ type: 'start', workers: { ...place, args: [...args], variables: { ...variables } } });
    first += count;
    return one.ended.then((ended) => {
      if (ended) {
        for (const end of ended) ends.push({ ...end, host: name });
        return;
      }
      const last = `the connection to host ${name} has ended (${one.lost})`;
      notify(last);
      for (const rank of ranks) ends.push({ rank, code: 1, signal: null, last, host: name, lost: true });
      if (!elastic) endAll(tell);
    });
  });
  await Promise.all(over);
  return ends;
}

/** Ends all workers: a rank that waits for one on a host that is lost hears of no signal but SIGKILL. */
function endAll(tell: (name: NodeJS.Signals) => void): void {
  tell('SIGINT');
  setTimeout(() => tell('SIGKILL'), killAfterMs).unref();
}

/** Asks every host; where some refuse, tells of all that have other reasons than the first, and throws that. */
async function all<T>(
  connections: readonly HostConnection[],
  ask: (one: HostConnection, index: number) => Promise<T>,
  { notify }: HostsRequest,
): Promise<T[]> {
  const answers = await Promise.allSettled(connections.map(ask));
  const refusals = answers.flatMap((one) => (one.status === 'rejected' ? [one.reason as Error] : []));
  const reasonOf = ({ message }: Error) => message.replace(/^host \S+: /, '');
  const [first, ...others] = refusals.filter(
    (one, index) => refusals.findIndex((other) => reasonOf(other) === reasonOf(one)) === index,
  );
  for (const other of others) notify(other.message);
  if (first) throw first;
  return answers.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
}

function checkVersions(
  connections: readonly HostConnection[],
  hellos: readonly Hello[],
  request: HostsRequest,
): void {
  const build = buildDigest();
  for (const [index, hello] of hellos.entries()) {
    const name = connections[index]?.host.name;
    const differs = (what: string) =>
      new UserError('HOST_UNUSABLE', `host ${name} has ${what}: install the same version on every host`);
    if (hello.version !== request.version)
      throw differs(`pod-dist ${hello.version}, this one ${request.version}`);
    if (hello.build !== build) throw differs(`another build of pod-dist ${hello.version}`);
    if (majorOf(hello.node) !== majorOf(process.version))
      throw differs(`Node.js ${hello.node}, this one ${process.version}`);
  }
}

function majorOf(version: string): string {
  return /^v?(\d+)/.exec(version)?.[1] ?? version;
}

/**
 * Where rank 0 listens: at the address of its host that `ssh` has connected to; where that is this host, at the one from
 * which another host was reached.
 */
function meetingOf(connections: readonly HostConnection[], hellos: readonly Hello[]): Meeting {
  const [first] = connections;
  const port = hellos[0]?.port;
  if (first === undefined || port === undefined) throw new PodDistError('UNEXPECTED', 'a job has no host');
  if (connections.every(({ host }) => isHere(host.name))) return { host: '127.0.0.1', port };
  const own = isHere(first.host.name)
    ? hellos.find(({ connection }) => connection && !isLoopback(connection.from))?.connection?.from
    : hellos[0]?.connection?.to;
  if (own === undefined)
    throw new UserError(
      'HOST_UNUSABLE',
      `host ${first.host.name}: its address is not known: give it with --rendezvous HOST:PORT`,
    );
  return { host: own, port };
}
