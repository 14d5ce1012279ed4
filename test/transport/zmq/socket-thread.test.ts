import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';

const module = (name: string) => new URL(`../../../dist/src/${name}`, import.meta.url).href;

/** Runs a process whose communication thread waits for a coordinator, and which then runs the code `last`. */
async function end(last: string): Promise<[code: number | null, signal: string | null, said: string]> {
  const program = `(async () => {
    const { Membership } = await import('${module('job/member/membership.js')}');
    const { distributedSchema } = await import('${module('config/schema.js')}');
    const joining = Membership.join({
      rank: 1, worldSize: 2, address: 'tcp://127.0.0.1:9', token: 'none', host: '127.0.0.1', digest: '',
      joinTimeoutMs: 600, stallTimeoutMs: 60_000, collectiveTimeoutMs: 60_000,
      thresholds: distributedSchema.parse({}), checkCollectives: false, guardParent: false,
    });
    ${last}
  })();`;
  const args = ['-e', program];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  return [code, signal, said];
}

describe('a process with ZeroMQ sockets in a thread', () => {
  it.each([
    ['at once', 'process.exit(7);'],
    ['just after the thread has started', 'setTimeout(() => process.exit(7), 40);'],
    ['while the thread waits', 'setTimeout(() => process.exit(7), 400);'],
    ['after the thread has failed', 'joining.catch(() => process.exit(7));'],
  ])('exits with its own exit code %s', async (_when, last) => {
    const [code, signal, said] = await end(last);
    expect([code, signal], said).toEqual([7, null]);
  });

  it('exits with code 1 and the message of an uncaught error', async () => {
    const [code, signal, said] = await end(`setTimeout(() => { throw new Error('boom'); }, 300);`);
    expect([code, signal], said).toEqual([1, null]);
    expect(said).toMatch(/Error: boom/);
    expect(said).not.toMatch(/terminate called|Napi/);
  });
});
