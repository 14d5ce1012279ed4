import { closeSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { algorithms } from '../../src/collective/algorithms/index.js';
import { allocate, createArena } from '../../src/collective/arena.js';
import type { Command } from '../../src/collective/channel.js';
import { Context, type Workspace } from '../../src/collective/context.js';
import { scratchBytes } from '../../src/collective/reduce.js';
import { loadKernels } from '../../src/collective/kernels.js';
import { begin, Selection, type Thresholds } from '../../src/collective/selection.js';
import { SendStage } from '../../src/collective/send-stage.js';
import { drive } from '../../src/collective/steps.js';
import { WireImage } from '../../src/collective/wire-image.js';
import type { Connection } from '../../src/transport/connection.js';
import { loadMemoryAddon } from '../../src/transport/host/memory-addon.js';
import { makeSharedMemory, openSharedMemory, SharedMemory } from '../../src/transport/host/shared-memory.js';
import { connectInProcess, InProcessTransport } from '../../src/transport/in-process.js';

/** Messages and payload bytes that a rank has sent. */
interface Sent {
  messages: number;
  bytes: number;
}

/** Ranks that run algorithms in one thread, over the in-process transport. */
export class RanksInThread {
  readonly sent: Sent[] = [];
  private sequence = 0;

  private constructor(
    readonly worldSize: number,
    private readonly transports: readonly InProcessTransport[],
    private readonly workspaces: readonly (Workspace & { stage: SendStage; selection: Selection })[],
    private readonly values: readonly Float32Array[],
  ) {}

  static async start(
    worldSize: number,
    { longest, hosts, ...limits }: { longest: number; hosts: string[] } & Partial<Thresholds>,
  ) {
    const ports = connectInProcess(worldSize);
    const ranks = [...ports.keys()];
    const transports = ranks.map((rank) => {
      const peers = ranks.filter((peer) => peer !== rank);
      return new InProcessTransport({ rank, peers, streams: 1, lost: () => {}, ports: ports[rank] });
    });
    const thresholds = {
      ...{ urgentBytes: 65_536, pipeBytes: 49_152, directBytes: 131_072 },
      ...{ ringBytes: 2 ** 30, hierarchicalBytes: 2 ** 30 },
      ...limits,
    };
    const sent = ranks.map((): Sent => ({ messages: 0, bytes: 0 }));
    const values: Float32Array[] = [];
    const memories = new Set(hosts).size === 1 ? shareMemory(worldSize) : undefined;
    const workspaces = await Promise.all(
      transports.map(async (transport, rank) => {
        const arena = createArena({ bytes: 2 ** 26, controlBytes: 0 });
        const connections = new Map(
          transport.connect().map((connection) => [connection.peer, counted(connection, sent[rank])]),
        );
        values.push(new Float32Array(arena.memory.buffer, allocate(arena, longest * 4), longest));
        const kernels = await loadKernels(arena.memory);
        const connection = (peer: number) => connections.get(peer) as Connection;
        return {
          links: { rank, ranks, stream: 0, generation: 0, hosts, connection },
          selection: new Selection(thresholds),
          bytes: new Uint8Array(arena.memory.buffer),
          kernels,
          scratch: allocate(arena, scratchBytes),
          stage: new SendStage(arena),
          image: new WireImage(arena),
          memory: memories?.(rank, new Uint8Array(arena.memory.buffer)),
          waiting: () => {},
        };
      }),
    );
    const started = new RanksInThread(worldSize, transports, workspaces, values);
    started.sent.push(...sent);
    return started;
  }

  /** Whether an algorithm can run a collective of `length` values on these ranks. */
  fits(name: string, kind: Command['kind'], length: number): boolean {
    const algorithm = algorithms.find((one) => one.name === name);
    const context = Context.whole(this.command(kind, length), this.workspaces[0]);
    return algorithm?.fits?.(context) ?? true;
  }

  /** Name of the algorithm chosen for a collective of `length` values on these ranks. */
  chosen(kind: Command['kind'], length: number): string {
    const [workspace] = this.workspaces;
    return workspace.selection.choose(Context.whole(this.command(kind, length), workspace)).name;
  }

  /** Runs the algorithm `name` on all ranks, with the values `valueOf(rank, index)`; returns each rank's values. */
  async run(
    name: string,
    kind: Command['kind'],
    length: number,
    valueOf: (rank: number, index: number) => number,
    root = 0,
  ): Promise<Float32Array[]> {
    const algorithm = algorithms.find((one) => one.name === name);
    if (!algorithm) throw new Error(`no algorithm ${name}`);
    for (const sent of this.sent) Object.assign(sent, { messages: 0, bytes: 0 });
    this.sequence++;
    await Promise.all(
      this.workspaces.map(async (workspace, rank) => {
        const values = this.values[rank];
        for (let index = 0; index < length; index++) values[index] = valueOf(rank, index);
        workspace.stage.turn(this.sequence);
        const command = { ...this.command(kind, length), offset: values.byteOffset, root };
        await drive(begin(algorithm, kind, Context.whole(command, workspace)));
      }),
    );
    return this.values.map((values) => values.slice(0, length));
  }

  async close(): Promise<void> {
    for (const { memory } of this.workspaces) memory?.close();
    await Promise.all(this.transports.map((transport) => transport.close()));
  }

  private command(kind: Command['kind'], length: number): Command {
    return {
      ...{ sequence: this.sequence, kind, type: 'float32', op: 'sum', wire: 'float32', root: 0 },
      ...{ timeoutMs: 1000, offset: 0, residual: 0, before: 0, length, tag: 'test', site: '', offsets: [] },
    };
  }
}

function counted(connection: Connection, sent: Sent): Connection {
  return {
    peer: connection.peer,
    stream: connection.stream,
    send(header, payload) {
      sent.messages++;
      sent.bytes += payload.length;
      connection.send(header, payload);
    },
    receive: (bytes, into) => connection.receive(bytes, into),
    look: () => connection.look(),
    close: () => connection.close(),
  };
}

/** Gives each rank its mapping of one shared memory; undefined if the native module is not compiled. */
function shareMemory(ranks: number): ((rank: number, arena: Uint8Array) => SharedMemory) | undefined {
  if (!loadMemoryAddon()) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
  if (!makeSharedMemory(folder, ranks)) throw new Error('no room for shared memory');
  const descriptors = Array.from({ length: ranks }, () => openSharedMemory(folder));
  rmSync(folder, { recursive: true });
  return (rank, arena) => {
    const descriptor = descriptors[rank];
    const memory = new SharedMemory(descriptor, { rank, ranks, arena, blocks: false, interrupted: () => {} });
    closeSync(descriptor);
    return memory;
  };
}
