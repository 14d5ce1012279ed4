import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { smallModel, Workplace, type Ended } from './command.js';
import { freePort } from './free-port.js';
import { needs } from '../needs.js';

const names = [`pod-dist-test-${process.pid}-a`, `pod-dist-test-${process.pid}-b`];
const addresses = ['10.79.0.1', '10.79.0.2'];

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'ignore'] });
}

/** Creates two linked network namespaces; the first one's /etc/hosts maps its own name to 127.0.1.1, as on Debian. */
function makeHosts(): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false;
  try {
    for (const name of names) ip('netns', 'add', name);
    ip('link', 'add', 'eth0', 'netns', names[0], 'type', 'veth', 'peer', 'name', 'eth0', 'netns', names[1]);
    names.forEach((name, host) => {
      ip('-n', name, 'addr', 'add', `${addresses[host]}/24`, 'dev', 'eth0');
      ip('-n', name, '-6', 'addr', 'add', `fd79::${host + 1}/64`, 'dev', 'eth0', 'nodad');
      for (const device of ['lo', 'eth0']) ip('-n', name, 'link', 'set', device, 'up');
      mkdirSync(`/etc/netns/${name}`, { recursive: true });
      writeFileSync(
        `/etc/netns/${name}/hosts`,
        `127.0.0.1 localhost\n${['127.0.1.1', addresses[0]][host]} head\n`,
      );
    });
    return true;
  } catch {
    removeHosts();
    return false;
  }
}

function removeHosts(): void {
  for (const name of names) {
    rmSync(`/etc/netns/${name}`, { recursive: true, force: true });
    try {
      ip('netns', 'del', name);
    } catch {
      continue;
    }
  }
}

const possible = makeHosts();

describe('a job over two hosts', needs('network namespaces', possible), () => {
  let place: Workplace;
  let temporary: string[];
  beforeEach(() => {
    place = new Workplace();
    temporary = [0, 1].map(() => mkdtempSync(join(tmpdir(), 'pod-')));
  });
  afterEach(async () => {
    await place.clear();
    for (const folder of temporary) rmSync(folder, { recursive: true, force: true });
  });
  afterAll(removeHosts);

  async function run(variables: (host: number) => NodeJS.ProcessEnv, ...more: string[]): Promise<Ended[]> {
    const port = String(await freePort());
    const args = [
      'worker',
      '--backend',
      'wasm',
      '--set',
      smallModel,
      '--epochs',
      '1',
      '--out',
      'run',
      ...more,
    ];
    const commands = names.map((name, host) =>
      place.start(
        args,
        {
          RANK: String(host),
          WORLD_SIZE: '2',
          LOCAL_RANK: '0',
          LOCAL_WORLD_SIZE: '1',
          MASTER_PORT: port,
          TMPDIR: temporary[host],
          ...variables(host),
        },
        ['ip', 'netns', 'exec', name],
      ),
    );
    return Promise.all(commands.map((command) => command.ended));
  }

  it("connects at an address that others reach if rank 0's name is loopback on its own host", async () => {
    const ended = await run(
      () => ({ MASTER_ADDR: 'head', XDG_CONFIG_HOME: place.path('shared') }),
      '--set',
      'distributed.host=0.0.0.0',
    );
    for (const one of ended) expect(one, one.stderr).toMatchObject({ code: 0 });
    expect(place.report('run')).toMatchObject({ worldSize: 2, evalTotal: 360 });
  });

  it('connects over IPv6 with a given secret', async () => {
    const ended = await run((host) => ({
      MASTER_ADDR: 'fd79::1',
      XDG_CONFIG_HOME: place.path(`home-${host}`),
      POD_DIST_TOKEN: 'a secret for both hosts',
    }));
    for (const one of ended) expect(one, one.stderr).toMatchObject({ code: 0 });
    expect(place.report('run')).toMatchObject({ worldSize: 2, evalTotal: 360 });
  });

  it('fails with the unreachable address and the ranks concerned', async () => {
    ip('-n', names[0], 'addr', 'add', '10.78.0.1/24', 'dev', 'eth0');
    const ended = await run(
      () => ({ MASTER_ADDR: addresses[0], XDG_CONFIG_HOME: place.path('shared') }),
      ...['--set', 'distributed.host=10.78.0.1', '--set', 'distributed.joinTimeoutSeconds=8'],
    );
    for (const one of ended) {
      expect(one, one.stderr).toMatchObject({ code: 1 });
      expect(one.lastLine).toMatch(
        /rank [01] has no connection (?:to|from) rank [01] (?:at|to) tcp:\/\/10\.78\.0\.1:\d+ after 8 s: /,
      );
    }
  });
});
