import type { Command } from './channel.js';
import { shardRange } from './communicator.js';
import type { Edge } from './edge.js';
import type { Kernels } from './kernels/index.js';
import type { Mesh } from './mesh.js';
import { slotsFor, sumInto } from './pairwise.js';
import type { SendStage } from './send-stage.js';
import type { WireImage } from './wire-image.js';
import { checkHeader, hashTag, type Header, type Kind } from './wire.js';

/** Received payloads are added from here, a block at a time, so that the block stays in the CPU's cache. */
export const scratchBytes = 131_072;
/** Buffers up to this size are not worth freeing by hand. */
const smallBuffer = 128;

/** What a stream lends to every collective it serves. */
export interface Workspace {
  mesh: Mesh;
  /** Whose connections are used. */
  stream: number;
  bytes: Uint8Array;
  kernels: Kernels;
  /** Offset of `scratchBytes` in the arena. */
  scratch: number;
  stage: SendStage;
  image: WireImage;
  /** Told which rank is waited for. */
  waiting(rank: number): void;
}

/** Elements [start, end) of a command's values. */
export type Region = readonly [start: number, end: number];

/** Ranks that take part, in order, and what belongs to whom. */
interface Group {
  ranks: readonly number[];
  /** For each of the ranks its part of the values, in one or several regions, empty or not. */
  parts: readonly (readonly Region[])[];
  /** Number of the first step in the headers; phases of one collective have different ones. */
  firstStep: number;
}

/**
 * What an algorithm works with while it serves one command, over all ranks or over a group of them. Ranks here are
 * positions in the group, counted modulo its size.
 */
export class Context {
  readonly rank: number;
  readonly worldSize: number;
  readonly elementBytes: number;
  private readonly tag: number;

  private constructor(
    readonly command: Command,
    readonly workspace: Workspace,
    private readonly group: Group,
  ) {
    this.rank = group.ranks.indexOf(workspace.mesh.rank);
    this.worldSize = group.ranks.length;
    this.elementBytes = command.type === 'float64' ? 8 : 4;
    this.tag = hashTag(command.tag);
  }

  /** Over all ranks; parts are the command's, else the shards of `shardRange`. */
  static whole(command: Command, workspace: Workspace): Context {
    const { worldSize } = workspace.mesh;
    const boundaries = command.offsets.length > 0 ? command.offsets : evenly(0, command.length, worldSize);
    const ranks = Array.from({ length: worldSize }, (_, rank) => rank);
    return new Context(command, workspace, { ranks, parts: consecutive(boundaries), firstStep: 0 });
  }

  /** The same command over a group of ranks. */
  over(group: Group): Context {
    return new Context(this.command, this.workspace, group);
  }

  /** Part `index`, in elements. */
  regions(index: number): readonly Region[] {
    return this.group.parts[this.wrap(index)];
  }

  /** Byte ranges [start, end) in the arena of part `index`. */
  part(index: number): Region[] {
    const { offset } = this.command;
    const at = (element: number) => offset + element * this.elementBytes;
    return this.regions(index).map(([start, end]) => [at(start), at(end)]);
  }

  /** Bytes of part `index`. */
  bytesOf(index: number): number {
    return this.part(index).reduce((sum, [start, end]) => sum + end - start, 0);
  }

  /** Bytes of all parts. */
  get bytes(): number {
    return this.group.parts.reduce((sum, _, index) => sum + this.bytesOf(index), 0);
  }

  /** Byte range from the first part to the last, of parts that follow each other. */
  get range(): Region {
    return [this.part(0)[0][0], this.part(this.worldSize - 1)[0][1]];
  }

  /** A view of arena bytes. */
  view(start: number, end: number): Uint8Array {
    return this.workspace.bytes.subarray(start, end);
  }

  /** Every other rank, beginning with the next one: ranks that all send in this order do not all send to one. */
  get peers(): number[] {
    return Array.from({ length: this.worldSize - 1 }, (_, index) => this.wrap(this.rank + 1 + index));
  }

  /** A copy of arena bytes in the send region, which needs no acknowledgement. */
  stage(start: number, end: number): Uint8Array {
    const offset = this.workspace.stage.take(end - start);
    this.workspace.bytes.copyWithin(offset, start, end);
    return this.view(offset, offset + end - start);
  }

  /** Sends `payload`, which must stay as it is until the peer is known to have it. */
  send(to: number, step: number, chunk: number, payload: Uint8Array, kind: Kind = this.command.kind): void {
    const { mesh } = this.workspace;
    this.edge(to).send(this.header(kind, mesh.rank, step, chunk, payload.length), payload);
  }

  /** Receives the payload of `bytes` that must come next from a peer. */
  async receive(
    from: number,
    step: number,
    chunk: number,
    bytes: number,
    kind: Kind = this.command.kind,
  ): Promise<Buffer> {
    const edge = this.edge(from);
    const { mesh, waiting } = this.workspace;
    waiting(edge.peer);
    const { header, payload } = await edge.receive();
    checkHeader(header, this.header(kind, edge.peer, step, chunk, bytes), mesh.rank, this.command.tag);
    return payload;
  }

  /** Combines the values of several ranks, and those with the arena's at `target`, in pairs; frees them. */
  reduceAll(target: number, payloads: readonly Uint8Array[]): void {
    if (payloads.length === 1) return this.reduce(target, payloads[0]);
    const { bytes, scratch, kernels } = this.workspace;
    const kernel = kernels.reduce[this.command.type][this.command.op];
    const block = 64 * Math.floor(scratchBytes / 64 / slotsFor(payloads.length));
    const at = (slot: number) => scratch + slot * block;
    const { length } = payloads[0];
    for (let done = 0; done < length; done += block) {
      const size = Math.min(block, length - done);
      const load = (payload: Uint8Array, slot: number) =>
        bytes.set(payload.subarray(done, done + size), at(slot));
      sumInto({ load, add: (to, from) => kernel(at(to), at(from), size) }, payloads);
      kernel(target + done, at(0), size);
    }
    for (const payload of payloads) this.release(payload);
  }

  /** Combines received values into the arena at `target`, and frees them. */
  reduce(target: number, payload: Uint8Array): void {
    const { bytes, scratch, kernels } = this.workspace;
    const kernel = kernels.reduce[this.command.type][this.command.op];
    for (let done = 0; done < payload.length; done += scratchBytes) {
      const size = Math.min(scratchBytes, payload.length - done);
      bytes.set(size === payload.length ? payload : payload.subarray(done, done + size), scratch);
      kernel(target + done, scratch, size);
    }
    this.release(payload);
  }

  /** Copies received values into the arena at `target`, and frees them. */
  copy(target: number, payload: Uint8Array): void {
    this.workspace.bytes.set(payload, target);
    this.release(payload);
  }

  /**
   * Gives a received buffer's memory back at once, not at some later garbage collection: at hundreds of megabytes a
   * second the difference is the resident size of the process.
   */
  release(payload: Uint8Array): void {
    const { buffer } = payload;
    if (payload.length <= smallBuffer || payload.byteOffset !== 0 || buffer.byteLength !== payload.length)
      return;
    if (buffer instanceof ArrayBuffer && 'transfer' in buffer) buffer.transfer(0);
  }

  /** Every rank tells every other that it has received all it needs, and waits for the same word from them. */
  async acknowledge(step: number): Promise<void> {
    for (const peer of this.peers) this.send(peer, step, 0, nothing, 'acknowledge');
    for (const peer of this.peers) await this.receive(peer, step, 0, 0, 'acknowledge');
  }

  private edge(index: number): Edge {
    const { mesh, stream } = this.workspace;
    return mesh.edge(this.group.ranks[this.wrap(index)], stream);
  }

  private wrap(index: number): number {
    return ((index % this.worldSize) + this.worldSize) % this.worldSize;
  }

  private header(kind: Kind, source: number, step: number, chunk: number, bytes: number): Header {
    const { sequence, type, op, wire, length } = this.command;
    return {
      kind,
      type,
      op,
      wire,
      stream: this.workspace.stream,
      sequence,
      step: this.group.firstStep + step,
      chunk,
      source,
      tag: this.tag,
      elements: length,
      bytes,
    };
  }
}

export const nothing = new Uint8Array(0);

/** Parts between ascending boundaries. */
export function consecutive(boundaries: readonly number[]): Region[][] {
  return boundaries.slice(1).map((end, index) => [[boundaries[index], end]]);
}

/** Boundaries of `parts` even parts of elements [start, end). */
export function evenly(start: number, end: number, parts: number): number[] {
  return Array.from({ length: parts }, (_, part) => start + shardRange(end - start, part, parts)[0]).concat(
    end,
  );
}
