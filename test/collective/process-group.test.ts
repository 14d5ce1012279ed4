import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createArena } from '../../src/collective/arena.js';
import { controlBytes } from '../../src/collective/control.js';
import type { MeshOptions } from '../../src/collective/mesh.js';
import { ProcessGroup } from '../../src/collective/process-group.js';
import { SharedCommunicator } from '../../src/collective/shared-communicator.js';
import { connectInProcess } from '../../src/transport/in-process.js';
import { prepareSockets } from '../../src/transport/zmq/sockets.js';

prepareSockets();

const thresholds = {
  ...{ urgentBytes: 65_536, pipeBytes: 49_152, directBytes: 131_072 },
  ...{ ringBytes: 65_536, hierarchicalBytes: 65_536 },
};
const elements = 50_000;

/** Starts `count` process groups in this process; each configuration takes some of them as members. */
function start(count: number) {
  const groups = Array.from({ length: count }, () => {
    const arena = createArena({ bytes: 2 ** 26, controlBytes });
    return { arena, group: new ProcessGroup({ arena, thresholds }) };
  });

  /** Connects the members, all-reduces over them, and compares the sum. */
  async function configure(
    members: readonly number[],
    generation: number,
    place: (rank: number) => Partial<MeshOptions>,
  ) {
    const worldSize = members.length;
    const own = members.map((member) => groups[member]);
    const common = { worldSize, generation, jobId: 'test', secret: 'a secret for tests' };
    const hosts = new Array<string>(worldSize).fill('here');
    const table = Object.fromEntries(
      (
        await Promise.all(
          own.map(({ group }, rank) => group.bind({ ...common, hosts, rank, ...place(rank) })),
        )
      ).entries(),
    );
    const all = await Promise.all(
      own.map(async ({ group, arena }, rank) => {
        const connections = await group.connect(table, 10_000);
        group.serve();
        const communicator = new SharedCommunicator({
          arena,
          rank,
          worldSize,
          timeoutMs: 10_000,
          thresholds,
        });
        await communicator.connected(connections);
        return communicator;
      }),
    );
    const results = await Promise.all(
      all.map(async (communicator, rank) => {
        const values = communicator.allocate(elements);
        if (values.some((value) => value !== 0)) expect.fail('allocated memory that is not zero');
        values.fill(generation + members[rank]);
        await communicator.allReduce(values);
        return values;
      }),
    );
    const sum = members.reduce((total, member) => total + generation + member, 0);
    for (const values of results) if (values.some((value) => value !== sum)) expect.fail(`not ${sum}`);
    return all;
  }

  const close = () => Promise.all(groups.map(({ group }) => group.close()));
  return { groups, configure, close };
}

/** Members of a generation: two to four of the four groups, different ones each time. */
function membersOf(generation: number): number[] {
  const count = 2 + (generation % 3);
  return Array.from({ length: 4 }, (_, index) => (index + generation) % 4).slice(0, count);
}

async function measure(times: number, configureOnce: (generation: number) => Promise<unknown>) {
  const look = () => ({ files: readdirSync('/proc/self/fd').length, bytes: process.memoryUsage().rss });
  const warm = Math.floor(times / 4);
  for (let generation = 1; generation <= warm; generation++) await configureOnce(generation);
  const before = look();
  for (let generation = warm + 1; generation <= times; generation++) await configureOnce(generation);
  return { before, after: look() };
}

describe('a process group', () => {
  it('leaks neither memory nor descriptors over 200 configurations with changing members', async () => {
    const { groups, configure, close } = start(4);
    const { before, after } = await measure(200, (generation) => {
      const members = membersOf(generation);
      const ports = connectInProcess(members.length);
      return configure(members, generation, (rank) => ({ ports: ports[rank] }));
    });
    expect(after.files).toBeLessThanOrEqual(before.files + 4);
    expect(after.bytes - before.bytes).toBeLessThan(40e6);
    for (const { arena } of groups) expect(Number(new BigUint64Array(arena.allocated)[0])).toBeLessThan(30e6);
    await close();
  });

  it.each(['ipc', 'tcp'])(
    'leaks neither memory, mappings nor descriptors over 24 configurations over %s',
    async (transport) => {
      const { configure, close } = start(4);
      const folders: string[] = [];
      const { before, after } = await measure(24, async (generation) => {
        const folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
        folders.push(folder);
        const all = await configure(membersOf(generation), generation, () =>
          transport === 'ipc' ? { directory: folder } : {},
        );
        for (const communicator of all) await communicator.close();
      });
      const mapped = readFileSync('/proc/self/maps', 'utf8').split('\n');
      expect(mapped.filter((line) => line.includes('/pod-dist-test-'))).toEqual([]);
      expect(after.files).toBeLessThanOrEqual(before.files + 60);
      expect(after.bytes - before.bytes).toBeLessThan(60e6);
      await close();
      for (const folder of folders) rmSync(folder, { recursive: true });
    },
  );

  it('fails to connect members of different generations', async () => {
    const { groups, close } = start(2);
    const ports = connectInProcess(2);
    const bind = (rank: number, generation: number) =>
      groups[rank].group.bind({
        ...{ rank, worldSize: 2, generation, jobId: 'test', secret: 'a secret for tests' },
        ...{ hosts: ['here', 'here'], ports: ports[rank] },
      });
    await Promise.all([bind(0, 1), bind(1, 2)]);
    const joined = [0, 1].map((rank) => groups[rank].group.connect({ 0: {}, 1: {} }, 5000));
    for (const one of joined) await expect(one).rejects.toMatchObject({ code: 'MESH_FAILED' });
    await close();
  });
});
