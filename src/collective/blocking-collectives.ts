import { HostConnections, type HostDescriptors } from '../transport/host/connection.js';
import { roundBytes } from '../transport/host/shared-file.js';
import { SharedMemory } from '../transport/host/shared-memory.js';
import type { Kind } from '../transport/wire.js';
import { messageOf, PodDistError } from '../util/errors.js';
import type { Algorithm } from './algorithms/algorithm.js';
import { allocate, type Arena } from './arena.js';
import type { CallRecord } from './call-record.js';
import type { Command } from './channel.js';
import { Context, type Workspace } from './context.js';
import { scratchBytes } from './reduce.js';
import { callRecord } from './control.js';
import { loadKernels, type Kernels } from './kernels.js';
import { begin, Selection, type Thresholds } from './selection.js';
import { driveBlocking } from './steps.js';
import { urgent } from './streams.js';
import { WireImage } from './wire-image.js';

/** Collectives for which it has algorithms that send messages. */
const messages: readonly Kind[] = ['allReduce', 'reduceScatter', 'allGather'];

interface BlockingOptions {
  arena: Arena;
  rank: number;
  generation: number;
  /** Each rank's host, by rank. */
  hosts: readonly string[];
  thresholds: Thresholds;
  /** Throws where the engine has failed. */
  throwIfFailed(): void;
  /** Fails the engine: all later calls, on this rank, throw the error. */
  fail(error: PodDistError): void;
}

/**
 * Blocking collectives that the compute threads of one host make by themselves, without the communication threads: in
 * memory that they share, or with the algorithms that those carry out too, over connections that block.
 */
export class BlockingCollectives {
  private constructor(
    private readonly workspace: Workspace,
    private readonly selection: Selection,
    private readonly record: CallRecord,
    private readonly options: BlockingOptions,
  ) {}

  static async create(descriptors: HostDescriptors, options: BlockingOptions): Promise<BlockingCollectives> {
    const { arena, rank, generation, hosts, thresholds, throwIfFailed: interrupted } = options;
    const bytes = new Uint8Array(arena.memory.buffer);
    const take = (size: number) => {
      const offset = allocate(arena, size);
      return bytes.subarray(offset, offset + size);
    };
    const host = new HostConnections(descriptors, { rank, stream: urgent, allocate: take, interrupted });
    const shared = { rank, ranks: hosts.length, arena: bytes, blocks: true, interrupted };
    const record = callRecord(arena.control);
    const selection = new Selection(thresholds);
    const workspace: Workspace = {
      links: {
        rank,
        ranks: [...hosts.keys()],
        stream: urgent,
        generation,
        hosts,
        connection: host.connectionWith,
      },
      selection,
      bytes,
      kernels: await loadKernels(arena.memory),
      scratch: allocate(arena, scratchBytes),
      image: new WireImage(arena),
      memory: descriptors.memory === undefined ? undefined : new SharedMemory(descriptors.memory, shared),
      round: { bytes: roundBytes, begin: () => host.beginRound() },
      waiting: (peer) => record.waitFor(peer),
    };
    return new BlockingCollectives(workspace, selection, record, options);
  }

  get kernels(): Kernels {
    return this.workspace.kernels;
  }

  /** Whether it can carry out a collective of this kind. */
  carriesOut(kind: Kind): boolean {
    return messages.includes(kind) || this.workspace.memory !== undefined;
  }

  /** Carries a call out; returns the algorithm that has done so. */
  run(call: Command): Algorithm {
    const { record } = this;
    const { throwIfFailed, fail } = this.options;
    throwIfFailed();
    record.begin(call);
    try {
      const context = Context.whole(call, this.workspace);
      const algorithm = this.selection.choose(context);
      driveBlocking(begin(algorithm, call.kind, context));
      return algorithm;
    } catch (error) {
      const known =
        error instanceof PodDistError
          ? error
          : new PodDistError('COLLECTIVE_FAILED', messageOf(error), { cause: error });
      fail(known);
      throw known;
    } finally {
      record.end();
    }
  }

  /** Gives memory back that ranks share. */
  close(): void {
    this.workspace.memory?.close();
  }
}
