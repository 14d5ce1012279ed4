import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { messageOf, UserError } from '../util/errors.js';
import { DelayRelay } from './relay/delay-relay.js';

const prefix = 'pod-dist-';
const namespaces = '/run/netns';
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** Jumbo frames, as clusters use them: with 1,500 bytes headers alone would take 4 % of the rate. */
const mtu = '9000';
const congestionControl = '/proc/sys/net/ipv4/tcp_congestion_control';

/** How packets wait for the token bucket. */
export const queues = ['fifo', 'pfifo_fast'] as const;
export type Queue = (typeof queues)[number];

/** Addresses and commands that put the ranks of a job behind the link. */
export interface Shaping {
  /** Each rank's address, by rank. */
  addresses: readonly string[];
  /** Each rank's starting command, by rank. */
  commands: readonly (readonly string[])[];
  /** Where the coordinator listens. */
  launcherAddress: string;
}

/**
 * A shaped network on this machine: each rank in a network namespace of its own, all on one bridge; what a rank sends
 * passes a token bucket of the given rate. Frames are of 9,000 bytes; TCP is Reno, which every Linux has. Linux, as
 * root, with iproute2.
 *
 * Packets wait for the token bucket in one queue of 50 ms (`fifo`), or in the queue that the kernel puts before a
 * network card (`pfifo_fast`), where packets marked for low delay go first.
 *
 *     rank 0 [namespace, 10.213.x.1] -- veth, tbf --+
 *     rank 1 [namespace, 10.213.x.2] -- veth, tbf --+-- bridge [10.213.x.254] -- coordinator
 *
 * It is removed by `close`, when this process exits, or at the latest before the next one is made.
 */
export class ShapedLink implements Shaping {
  readonly addresses: string[];
  readonly commands: string[][];
  readonly launcherAddress: string;
  private readonly bridge = `pdb${process.pid}`;
  /** The coordinator's way into a relay. */
  private readonly nearEnd = `pdh${process.pid}`;
  private readonly names: string[];
  private relay: DelayRelay | undefined;
  private readonly onExit = () => this.close();
  /** Signals end the process by way of its `exit` event. */
  private readonly onSignal = (_name: string, number: number) => process.exit(128 + number);

  private constructor(workers: number) {
    const network = `10.213.${process.pid % 250}`;
    const ranks = Array.from({ length: workers }, (_, rank) => rank);
    this.addresses = ranks.map((rank) => `${network}.${rank + 1}`);
    this.names = ranks.map((rank) => `${prefix}${process.pid}-${rank}`);
    this.commands = this.names.map((name) => ['ip', 'netns', 'exec', name]);
    this.launcherAddress = `${network}.254`;
  }

  /**
   * @param rate as tc writes it, such as `10gbit`
   * @throws UserError `LINK_UNAVAILABLE` where this system or user cannot make it
   */
  static create(workers: number, rate: string, queue: Queue = 'fifo'): ShapedLink {
    if (!/^\d+(\.\d+)?[kmgt]?bit$/i.test(rate))
      throw new UserError('USAGE', `--link ${rate}: give a rate such as 10gbit or 100mbit`);
    if (workers > 250) throw new UserError('USAGE', '--link is for at most 250 workers');
    if (process.platform !== 'linux' || process.getuid?.() !== 0)
      throw new UserError('LINK_UNAVAILABLE', '--link needs Linux and root, for network namespaces');
    const link = new ShapedLink(workers);
    process.once('exit', link.onExit);
    for (const signal of signals) process.once(signal, link.onSignal);
    try {
      removeStale();
      link.build(rate, queue);
    } catch (error) {
      link.close();
      throw new UserError(
        'LINK_UNAVAILABLE',
        `cannot make the shaped link (is iproute2 installed?): ${messageOf(error)}`,
      );
    }
    return link;
  }

  /**
   * Keeps every packet between the hosts back for a time: by the kernel's netem, or where it has none by a relay in user
   * space that takes the bridge's place.
   *
   * @throws UserError `LINK_UNAVAILABLE` where neither works
   */
  async delay(delayMs: number): Promise<void> {
    if (delayMs === 0) return;
    try {
      this.delayByKernel(delayMs);
    } catch {
      await this.delayByRelay(delayMs);
    }
  }

  close(): void {
    this.relay?.close();
    process.off('exit', this.onExit);
    for (const signal of signals) process.off(signal, this.onSignal);
    for (const name of this.names) attempt('netns', 'del', name);
    attempt('link', 'del', this.bridge);
    attempt('link', 'del', this.nearEnd);
  }

  private delayByKernel(delayMs: number): void {
    for (const name of this.names) {
      const add = ['-n', name, 'qdisc', 'add', 'dev', 'eth0', 'parent', '1:1', 'handle', '2:'];
      runCommand('tc', [...add, 'netem', 'delay', `${delayMs * 1000}us`, 'limit', '100000']);
    }
  }

  private async delayByRelay(delayMs: number): Promise<void> {
    const ends = this.names.map((_, rank) => `pdv${process.pid}-${rank}`);
    const farEnd = `pdp${process.pid}`;
    ip('link', 'add', this.nearEnd, 'mtu', mtu, 'type', 'veth', 'peer', 'name', farEnd, 'mtu', mtu);
    ip('link', 'set', this.nearEnd, 'master', this.bridge, 'up');
    ip('link', 'set', farEnd, 'up');
    for (const end of ends) ip('link', 'set', end, 'nomaster');
    this.relay = await DelayRelay.start(delayMs, [...ends, farEnd]);
  }

  private build(rate: string, queue: Queue): void {
    ip('link', 'add', this.bridge, 'type', 'bridge');
    ip('addr', 'add', `${this.launcherAddress}/24`, 'dev', this.bridge);
    ip('link', 'set', this.bridge, 'up');
    this.names.forEach((name, rank) => {
      const outside = `pdv${process.pid}-${rank}`;
      ip('netns', 'add', name);
      ip(
        'link',
        'add',
        outside,
        'mtu',
        mtu,
        'type',
        'veth',
        'peer',
        'name',
        'eth0',
        'mtu',
        mtu,
        'netns',
        name,
      );
      ip('link', 'set', outside, 'master', this.bridge, 'up');
      ip('-n', name, 'addr', 'add', `${this.addresses[rank]}/24`, 'dev', 'eth0');
      ip('-n', name, 'link', 'set', 'lo', 'up');
      ip('-n', name, 'link', 'set', 'eth0', 'up');
      runCommand('ip', ['netns', 'exec', name, 'sh', '-c', `echo reno > ${congestionControl}`]);
      const shaper = ['tbf', 'rate', rate, 'burst', String(burstBytes(rate)), 'latency', '50ms'];
      const add = ['-n', name, 'qdisc', 'add', 'dev', 'eth0'];
      runCommand('tc', [...add, 'root', 'handle', '1:', ...shaper]);
      if (queue !== 'fifo') runCommand('tc', [...add, 'parent', '1:1', 'handle', '2:', queue]);
    });
  }
}

/** The same, and each rank under a host name of its own. */
export function namedHosts({ addresses, commands, launcherAddress }: Shaping): Shaping {
  const named = (command: readonly string[], host: number) => {
    return [...command, 'unshare', '--uts', 'sh', '-c', `hostname host${host} && exec "$@"`, 'sh'];
  };
  return { addresses, launcherAddress, commands: commands.map(named) };
}

/** Bits a second of a rate as tc writes it. */
export function bitsPerSecond(rate: string): number {
  const [, number, unit] = /^([\d.]+)([kmgt]?)bit$/i.exec(rate) ?? [];
  return Number(number) * { '': 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12 }[unit.toLowerCase() as 'g'];
}

/** Bytes that may pass at once: those of a millisecond, but at least two of the 64 KiB packets that TCP hands down. */
function burstBytes(rate: string): number {
  return Math.max(131_072, Math.round(bitsPerSecond(rate) / 8000));
}

/** Removes links of processes that have ended. */
function removeStale(): void {
  let names: string[] = [];
  try {
    names = readdirSync(namespaces);
  } catch {
    return;
  }
  for (const name of names) {
    const pid = name.startsWith(prefix) ? Number.parseInt(name.slice(prefix.length), 10) : NaN;
    if (!(pid > 0) || isAlive(pid)) continue;
    attempt('netns', 'del', name);
    attempt('link', 'del', `pdb${pid}`);
    attempt('link', 'del', `pdh${pid}`);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function ip(...args: string[]): void {
  runCommand('ip', args);
}

function attempt(...args: string[]): void {
  try {
    runCommand('ip', args);
  } catch {
    // It is gone already.
  }
}

function runCommand(command: string, args: readonly string[]): void {
  execFileSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'], timeout: 10_000 });
}
