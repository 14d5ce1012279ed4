import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readJobState, type JobState } from '../../src/record/job-state.js';
import { cli, paced, soonMs, until, Workplace, type Command } from './command.js';
import { Hosts } from './hosts.js';
import { haveSsh, SshServers } from './ssh-servers.js';
import { long, needs } from '../needs.js';

const settings = ['--backend', 'wasm', '--bitwise', '2', '--set', 'distributed.joinTimeoutSeconds=60'];
const digits = fileURLToPath(new URL('../../configs/digits.yaml', import.meta.url));
const possible = haveSsh() && Hosts.possible();

/** The first host has the launcher; ssh reaches the second and the third. */
describe('launch --hosts over ssh', needs('sshd, and namespaces of hosts', possible), () => {
  /** SHA-256 of the weights after 4 epochs on one host, and after 8. */
  let weights: string;
  let longer: string;
  let keys: string;
  let place: Workplace;
  let hosts: Hosts;
  let servers: SshServers;
  let first: string;
  let second: string;

  beforeAll(async () => {
    const alone = new Workplace();
    await alone.train(2, ['distributed.bitwise=2', 'epochs=4'], { out: 'run' });
    weights = alone.report('run').weightsSha256;
    await alone.train(2, ['distributed.bitwise=2', 'epochs=8'], { out: 'longer' });
    longer = alone.report('longer').weightsSha256;
    await alone.clear();
    hosts = await Hosts.make(3);
    [first, second] = [1, 2].map((host) => hosts.name(host));
    keys = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
    servers = await SshServers.start(hosts, [1, 2], join(keys, 'ssh'));
  });
  afterAll(() => {
    hosts.remove();
    rmSync(keys, { recursive: true, force: true });
  });
  beforeEach(() => void (place = new Workplace()));
  afterEach(() => place.clear());

  const launchFrom = (folder: string, list: string, ...args: string[]): Command =>
    place.start(
      ['launch', '--hosts', list, '--ssh', servers.command, ...settings, '--out', 'run', ...args],
      {},
      hosts.within(0, folder),
    );
  const launch = (list: string, ...args: string[]) => launchFrom(place.folder, list, ...args);

  /** Process ids of pod-dist on all hosts whose command line names the test's folder. */
  const processes = () =>
    readdirSync('/proc').flatMap((pid) => {
      try {
        if (!/^\d+$/.test(pid) || readlinkSync(`/proc/${pid}/cwd`) !== place.folder) return [];
        const [program, ...args] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
        return program === process.execPath || program === 'ssh'
          ? [{ pid: Number(pid), line: args.join(' ') }]
          : [];
      } catch {
        return [];
      }
    });
  const named = (what: string) => processes().filter(({ line }) => line.includes(`${cli} ${what}`));
  const nobody = (withinMs = soonMs) =>
    until('the end of all processes', () => (processes().length === 0 ? true : undefined), withinMs);
  const underWay = async () => {
    await until('an epoch', () => place.epochs('run') || undefined);
    expect(named('worker')).toHaveLength(2);
    return named('launch')[0].pid;
  };

  it('leaves no process when the launcher is killed, resumes to the weights of one host, and shows no secret', async () => {
    const line = [`${first}:1,${second}:1`, '--epochs', '4', '--resume'] as const;
    launch(...line);
    const launcher = await underWay();
    expect(processes().filter(({ line: text }) => /[0-9a-f]{64}/.test(text))).toEqual([]);
    process.kill(launcher, 'SIGKILL');
    await nobody();
    const resumed = await launch(...line).ended;
    expect(resumed, resumed.stderr).toMatchObject({ code: 0 });
    expect(resumed.stdout).toMatch(/^\[0\] epoch 4\/4 /m);
    expect(place.report('run').weightsSha256).toBe(weights);
    await nobody();
  });

  it('ends on every host when one is cut off, and names that host', long, async () => {
    const job = launch(`${first}:1,${second}:1`, '--epochs', '500');
    await underWay();
    hosts.unplug(2);
    try {
      const { code, stderr } = await job.ended;
      expect(code, stderr).toBe(1);
      expect(stderr).toContain(`the connection to host ${second} has ended (`);
      await nobody(60_000);
    } finally {
      hosts.plug(2);
    }
  });

  it(
    'with --elastic, replaces a lost worker on its host and continues without a host that is cut off',
    long,
    async () => {
      const variables = Object.keys(paced(1)).filter((name) =>
        ['NODE_OPTIONS', 'POD_DIST_PACE'].includes(name),
      );
      const job = place.start(
        [
          ...[
            'launch',
            '--hosts',
            `${first}:1,${second}:1`,
            '--ssh',
            servers.command,
            ...settings,
            '--elastic',
          ],
          ...[
            '--epochs',
            '8',
            '--out',
            'run',
            '--set',
            'elastic.least=1',
            ...variables.flatMap((name) => ['--env', name]),
          ],
        ],
        paced(60),
        hosts.within(0, place.folder),
      );
      const state = () => readJobState(place.path('run')) as JobState;
      await until('an epoch', () => place.epochs('run') || undefined);
      const { pid } = state().ranks[1];
      hosts.kill(2, pid, 'KILL');
      await until('another worker', () => state().generation === 1 || undefined);
      await until('further epochs', () => place.epochs('run') > 3 || undefined);
      expect(state().ranks.map(({ host }) => host)).toEqual([first, second]);
      hosts.unplug(2);
      try {
        const { code, stderr } = await job.ended;
        expect(code, stderr).toBe(0);
        await nobody(60_000);
      } finally {
        hosts.plug(2);
      }
      expect(place.report('run').weightsSha256).toBe(longer);
    },
  );

  it('refuses unusable hosts before anything starts, in one line that names the host and what to do', async () => {
    let from = place.folder;
    const refused = async (list: string, ...args: string[]) => {
      const { code, stderr } = await launchFrom(from, list, ...args).ended;
      expect([code, stderr.trimEnd().split('\n').length], stderr).toEqual([2, 1]);
      return stderr;
    };
    const onSecond = (...command: string[]) =>
      execFileSync('nsenter', [...hosts.within(2, '/').slice(1), ...command]);
    const without = async (folder: string, ...args: string[]) => {
      onSecond('mount', '-t', 'tmpfs', 'none', folder);
      const line = await refused(both, ...args);
      onSecond('umount', folder);
      return line;
    };
    const both = `${first}:1,${second}:1`;
    expect(await refused(`${first}:1,nowhere:1`)).toMatch(/host nowhere: its name is not known: /);
    expect(await refused(`nobody@${second}`)).toMatch(/host nobody@.*: ssh is refused: /);
    expect(await refused(both, '--set', 'batchsize=3')).toMatch(/host .*: .*did you mean batchSize/);
    const programs = dirname(cli);
    expect(await without(programs)).toMatch(`host ${second}: it has no pod-dist at ${cli}: install it`);
    mkdirSync(place.path('data', 'faces'), { recursive: true });
    from = place.path('data');
    expect(await without(place.folder)).toMatch(`host ${second}: it has no folder ${from}, in which`);
    from = place.folder;
    const faces = ['--config', 'cifar10-resnet20', '--set', 'data.root=data/faces'];
    expect(await without(place.path('data'), ...faces)).toMatch(
      `host ${second}: data.root data/faces is not`,
    );
    for (const [index, name] of ['own.yaml', 'other.yaml'].entries())
      writeFileSync(place.path(name), `extends: ${digits}\nseed: ${index}\n`);
    onSecond('mount', '--bind', place.path('other.yaml'), place.path('own.yaml'));
    expect(await refused(both, '--config', 'own.yaml')).toMatch(
      `host ${second} reads another configuration than host ${first}: give every host`,
    );
    onSecond('umount', place.path('own.yaml'));
    expect(processes()).toEqual([]);
  });
});
