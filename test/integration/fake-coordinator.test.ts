import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CoordinatorMessage, WorkerMessage } from '../../src/job/control/protocol.js';
import { decode, workerMessage } from '../../src/job/control/protocol.js';
import { ControlServer } from '../../src/job/control/server.js';
import { Workplace } from './command.js';
import { freePort } from './free-port.js';

const token = 'a secret that somebody else has come by';

/** Every file and folder below a folder, with size and times. */
function stateOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => {
      const { size, mtimeMs, ctimeMs } = statSync(join(folder, name));
      return `${name} ${size} ${mtimeMs} ${ctimeMs}`;
    });
}

describe('a malicious coordinator that knows the secret', () => {
  let place: Workplace;
  let server: ControlServer;
  let port: number;
  beforeEach(async () => {
    place = new Workplace();
    port = await freePort();
    server = await ControlServer.start({ host: '127.0.0.1', port, token });
  });
  afterEach(async () => {
    await server.close();
    await place.clear();
  });

  /** Answers the first message of each type with the given messages; returns the types heard. */
  async function answer(
    answers: Partial<Record<WorkerMessage['type'], CoordinatorMessage[]>>,
  ): Promise<string[]> {
    const heard: string[] = [];
    for await (const arrival of server.arrivals()) {
      if ('fault' in arrival) throw new Error(arrival.fault);
      const { type } = decode(workerMessage, arrival.bytes);
      if (type === 'hello' && !heard.includes('hello')) server.admit(arrival.connection);
      else if (heard.includes(type)) continue;
      heard.push(type);
      for (const message of answers[type] ?? []) server.post(arrival.connection, message);
      if (type === 'failed') return heard;
    }
    return heard;
  }

  const cases: [what: string, transport: 'ipc' | 'tcp', endpoint: (victim: string) => string][] = [
    ['within the host', 'ipc', (victim) => `ipc://${victim}/socket`],
    ['by the name of the host', 'ipc', () => 'ipc'],
    ['over tcp', 'tcp', (victim) => `ipc://${victim}/socket`],
  ];

  it.each(cases)(
    'cannot make a worker touch a path that the coordinator names, %s',
    async (_what, transport, endpoint) => {
      const victim = place.path('victim');
      mkdirSync(join(victim, 'inner'), { recursive: true });
      for (const name of ['0-1.0', '1-0.0', '0-1.pipe', '1.values', 'probe', 'inner/kept'])
        writeFileSync(join(victim, name), 'kept');
      const before = stateOf(place.folder);
      const worker = place.start(
        ['worker', '--backend', 'wasm', '--set', 'distributed.joinTimeoutSeconds=4'],
        {
          ...{ RANK: '1', WORLD_SIZE: '2', MASTER_ADDR: '127.0.0.1', MASTER_PORT: String(port) },
          ...{ POD_DIST_TOKEN: token, HOME: place.path('victim'), NODE_DISABLE_COMPILE_CACHE: '1' },
        },
      );
      const jobId = `../../../../..${victim}`.slice(0, 200);
      const where = endpoint(victim);
      const names = ['0-1.0', '1-0.0', '0-1.1', '1-0.1', victim, `../${victim}`, '__proto__'];
      const endpoints = Object.fromEntries(names.map((name) => [name, where]));
      const heard = answer({
        hello: [
          {
            ...{ type: 'plan', jobId, hosts: [victim, victim], reached: [victim, '../..'], transport },
            ...{ generation: 0, rank: 1, worldSize: 2, secret: victim.slice(0, 200) },
          },
        ],
        endpoints: [
          { type: 'table', table: { '0': endpoints, '1': endpoints, [victim]: endpoints } },
          { type: 'gathered', name: victim, result: { outDir: victim, file: `${victim}/probe` } },
          { type: 'agreed', name: `../..${victim}` },
        ],
      });
      const { code, stderr } = await worker.ended;
      expect(code, stderr).toBe(1);
      expect(await heard).toEqual(expect.arrayContaining(['hello', 'endpoints', 'failed']));
      expect(stateOf(place.folder)).toEqual(before);
      expect(place.leftovers()).toEqual([]);
    },
  );
});
