import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { checkKnown, meet, type MeetOptions } from '../../../src/job/join/meet.js';
import { Coordinator } from '../../../src/job/coordinator/coordinator.js';
import { freePort } from '../../integration/free-port.js';

const token = 'the secret of this job';
let coordinator: Coordinator | undefined;
let server: Server | undefined;
afterEach(async () => {
  await coordinator?.stop();
  server?.close();
  coordinator = server = undefined;
});

async function listen(host: string, port = 0): Promise<number> {
  const times = { joinTimeoutMs: 20_000, stallTimeoutMs: 20_000 };
  const combine = () => null;
  coordinator = await Coordinator.start({
    host,
    port,
    token,
    worldSize: 2,
    transport: 'tcp',
    combine,
    ...times,
  });
  return coordinator.port;
}

function look(port: number, options: Partial<MeetOptions> = {}) {
  const about = {
    rank: 1,
    host: '127.0.0.1',
    port,
    timeoutMs: 1000,
    withoutSecret: 'no secret',
    notify: () => {},
  };
  return meet({ ...about, secrets: () => [token], ...options });
}

describe('meet', () => {
  it('finds the coordinator, the secret that it takes, and the addresses of both ends', async () => {
    const port = await listen('127.0.0.1');
    const secrets = () => ['the secret of a killed job', token];
    const found = { token, reached: '127.0.0.1', local: '127.0.0.1', address: `tcp://127.0.0.1:${port}` };
    expect(await look(port, { secrets })).toEqual(found);
    expect(await look(port, { host: 'localhost' })).toEqual(found);
  });

  it.each(['*', '::1'])('finds over IPv6 a coordinator that listens on %s', async (host) => {
    const port = await listen(host);
    const address = `tcp://[::1]:${port}`;
    expect(await look(port, { host: '::1' })).toMatchObject({ address, reached: '::1', local: '::1' });
  });

  it('waits for the coordinator and for the secret', async () => {
    const port = await freePort();
    const began = performance.now();
    const secrets = () => (performance.now() - began < 800 ? [] : [token]);
    const found = look(port, { secrets, timeoutMs: 10_000 });
    setTimeout(() => void listen('127.0.0.1', port), 400);
    expect((await found).token).toBe(token);
    expect(performance.now() - began).toBeGreaterThan(800);
  });

  const failure = (pattern: RegExp): unknown =>
    expect.objectContaining({ code: 'JOIN_TIMEOUT', message: expect.stringMatching(pattern) });

  it('fails with the address if nothing listens there', async () => {
    const port = await freePort();
    const where = `^rank 1 could not join the job at 127.0.0.1:${port} within 1 s: `;
    await expect(look(port)).rejects.toEqual(
      failure(new RegExp(`${where}nothing listens at 127.0.0.1:${port}: is rank 0`)),
    );
  });

  it('reports an unknown host name at once, and tries until its deadline', async () => {
    const began = performance.now();
    const notices: string[] = [];
    const notify = (line: string) => {
      expect(performance.now() - began).toBeLessThan(timeoutMs);
      notices.push(line);
    };
    const timeoutMs = 3000;
    const host = 'no-such-host.invalid';
    await expect(look(await freePort(), { host, notify, timeoutMs })).rejects.toEqual(
      failure(/the name no-such-host.invalid is not known/),
    );
    expect(notices).toEqual([
      "rank 1 waits for rank 0: the name no-such-host.invalid is not known on this host: set MASTER_ADDR to rank 0's address",
    ]);
  });

  it('checkKnown rejects an unknown host name', async () => {
    await expect(checkKnown('no-such-host.invalid')).rejects.toMatchObject({
      code: 'ENVIRONMENT_INVALID',
      message: expect.stringMatching(
        /^the name no-such-host.invalid is not known on this host: set MASTER_ADDR/,
      ),
    });
    await checkKnown('localhost');
    await checkKnown('127.0.0.1');
  });

  it('fails with the reason if secrets differ or none is given', async () => {
    const port = await listen('127.0.0.1');
    await expect(look(port, { secrets: () => ['another secret of a job'] })).rejects.toEqual(
      failure(/does not take this rank's secret: is POD_DIST_TOKEN the same/),
    );
    await expect(look(port, { secrets: () => [] })).rejects.toEqual(failure(/: no secret$/));
  });

  it('does not mistake another program for the coordinator', async () => {
    server = createServer((socket) =>
      socket.on('error', () => {}).end('HTTP/1.1 400 Bad Request\r\n\r\n'),
    ).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await expect(look(port)).rejects.toEqual(failure(/does not take this rank's secret/));
  });
});
