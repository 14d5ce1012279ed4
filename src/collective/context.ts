import type { Command } from './channel.js';
import { shardRange } from './communicator.js';
import type { ReduceKernels } from './kernels/index.js';
import type { Edge, Mesh } from './mesh.js';
import { checkHeader, hashTag, type Header, type Kind } from './wire.js';

/** Received payloads are added from here, a block at a time, so that the block stays in the CPU's cache. */
export const scratchBytes = 131_072;
/** Buffers up to this size are not worth freeing by hand. */
const smallBuffer = 128;

/** What every rank's algorithm works with while it serves one command. */
export class Context {
  readonly rank: number;
  readonly worldSize: number;
  readonly elementBytes: number;
  /** Part boundaries in elements, [worldSize + 1]. */
  readonly boundaries: readonly number[];
  private readonly bytes: Uint8Array;

  constructor(
    readonly command: Command,
    private readonly sequence: number,
    private readonly mesh: Mesh,
    memory: WebAssembly.Memory,
    private readonly kernels: ReduceKernels,
    private readonly scratch: number,
    private readonly waiting: (peer: number) => void,
  ) {
    this.rank = mesh.rank;
    this.worldSize = mesh.worldSize;
    this.elementBytes = command.type === 'float64' ? 8 : 4;
    this.bytes = new Uint8Array(memory.buffer);
    this.boundaries =
      command.offsets.length > 0
        ? command.offsets
        : [...mesh.peers, mesh.rank]
            .sort((a, b) => a - b)
            .map((rank) => shardRange(command.length, rank, mesh.worldSize)[0])
            .concat(command.length);
  }

  /** Byte range [start, end) in the arena of part `index`, counted modulo the world size. */
  part(index: number): [start: number, end: number] {
    const part = ((index % this.worldSize) + this.worldSize) % this.worldSize;
    const { offset } = this.command;
    return [
      offset + this.boundaries[part] * this.elementBytes,
      offset + this.boundaries[part + 1] * this.elementBytes,
    ];
  }

  /** Byte range of all values. */
  get whole(): [start: number, end: number] {
    return [this.command.offset, this.command.offset + this.command.length * this.elementBytes];
  }

  /** A view of arena bytes. */
  view(start: number, end: number): Uint8Array {
    return this.bytes.subarray(start, end);
  }

  edge(peer: number): Edge {
    return this.mesh.edge(((peer % this.worldSize) + this.worldSize) % this.worldSize);
  }

  get peers(): number[] {
    return this.mesh.peers;
  }

  /** Sends `payload`, which must stay as it is until it is acknowledged. */
  send(
    edge: Edge,
    step: number,
    chunk: number,
    payload: Uint8Array,
    kind: Kind = this.command.kind,
  ): Promise<void> {
    return edge.send(
      this.header(kind, this.rank, step, chunk, payload.length),
      payload.length > 0 ? payload : undefined,
    );
  }

  /** Receives the payload of `bytes` that must come next from a peer. */
  async receive(
    edge: Edge,
    step: number,
    chunk: number,
    bytes: number,
    kind: Kind = this.command.kind,
  ): Promise<Buffer> {
    this.waiting(edge.peer);
    const { header, payload } = await edge.receive();
    checkHeader(header, this.header(kind, edge.peer, step, chunk, bytes), this.rank, this.command.tag);
    return payload;
  }

  /** Combines received values into the arena at `target`. */
  reduce(target: number, payload: Buffer): void {
    const kernel = this.kernels[this.command.type][this.command.op];
    for (let done = 0; done < payload.length; done += scratchBytes) {
      const size = Math.min(scratchBytes, payload.length - done);
      this.bytes.set(payload.subarray(done, done + size), this.scratch);
      kernel(target + done, this.scratch, size);
    }
  }

  /** Copies received values into the arena at `target`. */
  copy(target: number, payload: Buffer): void {
    this.bytes.set(payload, target);
  }

  private header(kind: Kind, source: number, step: number, chunk: number, bytes: number): Header {
    const { type, op, length, tag } = this.command;
    return {
      kind,
      type,
      op,
      sequence: this.sequence,
      step,
      chunk,
      source,
      tag: hashTag(tag),
      elements: length,
      bytes,
    };
  }
}

/**
 * Gives a received buffer's memory back at once, not at some later garbage collection: at hundreds of megabytes a
 * second the difference is the resident size of the process.
 */
export function release(payload: Buffer): void {
  const { buffer } = payload;
  if (payload.length <= smallBuffer || payload.byteOffset !== 0 || buffer.byteLength !== payload.length)
    return;
  if (buffer instanceof ArrayBuffer && 'transfer' in buffer) buffer.transfer(0);
}
