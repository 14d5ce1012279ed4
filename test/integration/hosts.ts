import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './command.js';

interface Host {
  name: string;
  address: string;
  /** Process that holds the namespaces of the host. */
  holder: ChildProcess;
  first: number;
  temporary: string;
}

const letters = 'abcdefgh';

/**
 * Hosts on this machine (Linux, root): namespaces of network, processes and host name, joined by a bridge, with one shared
 * file system. The path between two hosts can be cut in one direction, and a host can be lost without any packet, as by a
 * power cut.
 */
export class Hosts {
  private readonly hosts: Host[] = [];

  private constructor(private readonly prefix: string) {}

  /** Whether this machine supports such hosts. */
  static possible(): boolean {
    if (process.platform !== 'linux' || process.getuid?.() !== 0) return false;
    const name = `pod-dist-try-${process.pid}`;
    try {
      ip('netns', 'add', name);
      run('ip', 'netns', 'exec', name, 'unshare', '--uts', '--pid', '--fork', '--mount-proc', 'true');
      ip('-n', name, 'link', 'add', 'bridge', 'type', 'bridge');
      run('nsenter', '--version');
      return true;
    } catch {
      return false;
    } finally {
      attempt(() => ip('netns', 'del', name));
    }
  }

  static async make(count: number): Promise<Hosts> {
    const hosts = new Hosts(`pod-dist-${process.pid}`);
    try {
      await hosts.start(count);
      return hosts;
    } catch (error) {
      hosts.remove();
      throw error;
    }
  }

  address(host: number): string {
    return this.hosts[host].address;
  }

  name(host: number): string {
    return this.hosts[host].name;
  }

  /** Prefix of a command that runs it on a host, in `folder`. */
  within(host: number, folder: string): string[] {
    const { first, temporary } = this.hosts[host];
    const where = [
      '--net',
      '--mount',
      '--uts',
      '--pid',
      `--wd=${folder}`,
      '--',
      'env',
      `TMPDIR=${temporary}`,
    ];
    return ['nsenter', '--target', String(first), ...where];
  }

  /** Sends a signal to a process, by its process id on its host. */
  kill(host: number, pid: number, signal: string): void {
    run(...this.within(host, '/'), 'kill', `-${signal}`, String(pid));
  }

  /** Whether a process runs, by its process id on its host. */
  runs(host: number, pid: number): boolean {
    try {
      const stat = execFileSync('nsenter', [...this.within(host, '/').slice(1), 'cat', `/proc/${pid}/stat`], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      return !/\) [ZX]/.test(stat);
    } catch {
      return false;
    }
  }

  /** Ends every process of a host at once, without any packet. */
  lose(host: number): void {
    this.unplug(host);
    attempt(() => process.kill(this.hosts[host].first, 'SIGKILL'));
  }

  /** Disconnects a host from the network. */
  unplug(host: number): void {
    ip('-n', this.name(host), 'link', 'set', 'eth0', 'down');
  }

  /** Connects a host to the network again. */
  plug(host: number): void {
    ip('-n', this.name(host), 'link', 'set', 'eth0', 'up');
  }

  /** Drops packets from one host to another until `heal`, by sending them to an unused hardware address. */
  cut(from: number, to: number): void {
    const nobody = ['lladdr', '02:00:00:00:00:fe', 'dev', 'eth0', 'nud', 'permanent'];
    ip('-n', this.name(from), 'neigh', 'replace', this.address(to), ...nobody);
  }

  heal(from: number, to: number): void {
    ip('-n', this.name(from), 'neigh', 'del', this.address(to), 'dev', 'eth0');
  }

  /** Limits packets to a host to 1 Mbit/s, and drops the others, until `relieve`. */
  congest(host: number): void {
    const queue = ['rate', '1mbit', 'burst', '4kb', 'limit', '8kb'];
    this.queue('replace', host, 'tbf', ...queue);
  }

  relieve(host: number): void {
    this.queue('del', host);
  }

  /** Files that commands have left in the hosts' temporary folders. */
  leftovers(): string[] {
    return this.hosts.flatMap(({ temporary }) =>
      readdirSync(temporary)
        .filter((name) => !name.startsWith('node-compile-cache'))
        .map((name) => join(temporary, name)),
    );
  }

  /** Ends all processes of the hosts, and removes the hosts. */
  remove(): void {
    for (const { name, first, holder, temporary } of this.hosts) {
      attempt(() => process.kill(first, 'SIGKILL'));
      holder.kill('SIGKILL');
      rmSync(`/etc/netns/${name}`, { recursive: true, force: true });
      rmSync(temporary, { recursive: true, force: true });
      attempt(() => ip('netns', 'del', name));
    }
    attempt(() => ip('netns', 'del', this.prefix));
  }

  private queue(action: string, host: number, ...kind: string[]): void {
    const where = ['qdisc', action, 'dev', `port${host}`, 'root'];
    run('ip', 'netns', 'exec', this.prefix, 'tc', ...where, ...kind);
  }

  private async start(count: number): Promise<void> {
    const { prefix } = this;
    ip('netns', 'add', prefix);
    ip('-n', prefix, 'link', 'add', 'bridge', 'type', 'bridge');
    ip('-n', prefix, 'link', 'set', 'bridge', 'up');
    const names = Array.from({ length: count }, (_, index) => `${prefix}-${letters[index]}`);
    const addresses = names.map((_, index) => `10.81.0.${index + 1}`);
    const table = names.map((name, index) => `${addresses[index]} ${name}\n`).join('');
    for (const [index, name] of names.entries()) {
      ip('netns', 'add', name);
      mkdirSync(`/etc/netns/${name}`, { recursive: true });
      writeFileSync(`/etc/netns/${name}/hosts`, `127.0.0.1 localhost\n${table}`);
      const port = `port${index}`;
      ip('link', 'add', 'eth0', 'netns', name, 'type', 'veth', 'peer', 'name', port, 'netns', prefix);
      ip('-n', prefix, 'link', 'set', port, 'master', 'bridge', 'up');
      ip('-n', name, 'addr', 'add', `${addresses[index]}/24`, 'dev', 'eth0');
      for (const device of ['lo', 'eth0']) ip('-n', name, 'link', 'set', device, 'up');
      const holder = spawn(
        'ip',
        [
          ...['netns', 'exec', name, 'unshare', '--uts', '--pid', '--fork', '--mount-proc'],
          ...['sh', '-c', `hostname ${name} && exec sleep infinity`],
        ],
        { stdio: 'ignore' },
      );
      const first = await until('a host', () => firstOf(holder.pid as number));
      const temporary = mkdtempSync(join(tmpdir(), 'pod-'));
      this.hosts.push({ name, address: addresses[index], holder, first, temporary });
    }
  }
}

/** First process in the namespace that `unshare` creates, once it runs. */
function firstOf(pid: number): number | undefined {
  try {
    const child = Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim() || undefined);
    return readFileSync(`/proc/${child}/comm`, 'utf8').trim() === 'sleep' ? child : undefined;
  } catch {
    return undefined;
  }
}

function ip(...args: string[]): void {
  run('ip', ...args);
}

function run(...[program, ...args]: string[]): void {
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'ignore'] });
}

function attempt(work: () => void): void {
  try {
    work();
  } catch {
    // The process or namespace has gone already.
  }
}
