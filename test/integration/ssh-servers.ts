import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram } from '../launchers/starters.js';
import { until } from './command.js';
import type { Hosts } from './hosts.js';

/** Whether this machine has an ssh server. */
export function haveSsh(): boolean {
  return ['sshd', 'ssh', 'ssh-keygen'].every((name) => findProgram(name) !== undefined);
}

/**
 * ssh servers on some hosts, with generated keys and a client configuration that reaches them. The servers end with their
 * hosts.
 */
export class SshServers {
  private constructor(
    private readonly hosts: Hosts,
    private readonly folder: string,
  ) {}

  static async start(hosts: Hosts, numbers: readonly number[], folder: string): Promise<SshServers> {
    mkdirSync(folder);
    mkdirSync('/run/sshd', { recursive: true });
    const all = new SshServers(hosts, folder);
    for (const name of ['host', 'user'])
      execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, name)]);
    const host = readFileSync(join(folder, 'host.pub'), 'utf8');
    writeFileSync(join(folder, 'known'), `* ${host}`);
    writeFileSync(join(folder, 'config'), all.clientConfig());
    for (const number of numbers) all.serve(number);
    await until('ssh servers', () => numbers.every((number) => existsSync(all.pidFile(number))) || undefined);
    return all;
  }

  /** The ssh command with this configuration. */
  get command(): string {
    return `ssh -F ${join(this.folder, 'config')}`;
  }

  private serve(number: number): void {
    const file = join(this.folder, `sshd-${number}.conf`);
    const [, ...nsenter] = this.hosts.within(number, '/');
    const temporary = nsenter.find((word) => word.startsWith('TMPDIR='));
    writeFileSync(
      file,
      [
        `HostKey ${join(this.folder, 'host')}`,
        `AuthorizedKeysFile ${join(this.folder, 'user.pub')}`,
        `PidFile ${this.pidFile(number)}`,
        `SetEnv ${temporary} XDG_CONFIG_HOME=${this.folder}/home-${number}`,
        ...[
          'PermitRootLogin prohibit-password',
          'PasswordAuthentication no',
          'KbdInteractiveAuthentication no',
        ],
        ...['UsePAM no', 'StrictModes no', 'PrintMotd no', 'LogLevel ERROR'],
      ].join('\n') + '\n',
    );
    const sshd = findProgram('sshd') as string;
    spawn('nsenter', [...nsenter, sshd, '-D', '-f', file], { stdio: 'ignore' });
  }

  private pidFile(number: number): string {
    return join(this.folder, `sshd-${number}.pid`);
  }

  private clientConfig(): string {
    const settings = ['User root', 'IdentitiesOnly yes', `IdentityFile ${join(this.folder, 'user')}`];
    const known = [`UserKnownHostsFile ${join(this.folder, 'known')}`, 'GlobalKnownHostsFile /dev/null'];
    return ['Host *', ...settings, ...known, 'StrictHostKeyChecking yes'].join('\n  ') + '\n';
  }
}
