import { giveBack } from '../transport/buffers.js';
import type { SharedMemory } from '../transport/host/shared-memory.js';
import {
  checkHeader,
  encodeHeader,
  hashTag,
  type Header,
  type Kind,
  type ReducingKind,
  type WireType,
} from '../transport/wire.js';
import type { Command } from './channel.js';
import { shardRange } from './communicator.js';
import type { Kernels } from './kernels.js';
import type { Links } from './mesh.js';
import { pairwise, slotsFor, sumInto } from './pairwise.js';
import type { SendStage } from './send-stage.js';
import type { Steps } from './steps.js';
import type { WireImage } from './wire-image.js';
import { largest } from '../util/extremes.js';

/** Received payloads are added from here, a block at a time, so that the block stays in the CPU's cache. */
export const scratchBytes = 131_072;

/** Chooses how a phase of a collective is carried out over a group of ranks, and carries it out. */
export interface PhaseSelection {
  runFlat(collective: ReducingKind, context: Context, wire: WireType): Steps;
}

/** Resources that a server of collectives lends to each of them. */
export interface Workspace {
  links: Links;
  selection: PhaseSelection;
  /** The arena. */
  bytes: Uint8Array;
  kernels: Kernels;
  /** Offset of `scratchBytes` in the arena. */
  scratch: number;
  /** Region that payloads are copied to before they are sent; undefined where the connections copy what they send. */
  stage?: SendStage;
  image: WireImage;
  /** Memory that all ranks share; undefined where they do not. */
  memory?: SharedMemory;
  /** Bytes that a rank may send in one round; default: any number. */
  round?: { bytes: number; begin(): void };
  /** Called with the rank that is waited for. */
  waiting(rank: number): void;
}

/** Elements [start, end) of a command's values. */
export type Region = readonly [start: number, end: number];

/** Ranks that take part, in order, and the part of the values of each. */
interface Members {
  ranks: readonly number[];
  /** Part of the values of each rank, in one or several regions, empty or not. */
  parts: readonly (readonly Region[])[];
  /** Elements of all parts. */
  length: number;
  /** Number of the first step in the headers; phases of one collective have different ones. */
  firstStep: number;
}

/**
 * Context of an algorithm while it serves one command, over all ranks or over a group of them. Ranks here are
 * positions in the group, counted modulo its size.
 */
export class Context {
  readonly rank: number;
  readonly worldSize: number;
  readonly elementBytes: number;
  /** Bytes of all parts. */
  readonly bytes: number;
  private readonly tag: number;

  private constructor(
    readonly command: Command,
    readonly workspace: Workspace,
    private readonly group: Members,
  ) {
    this.rank = group.ranks.indexOf(workspace.links.rank);
    this.worldSize = group.ranks.length;
    this.elementBytes = command.type === 'float64' ? 8 : 4;
    this.tag = hashTag(command.tag);
    this.bytes = group.length * this.elementBytes;
  }

  /** Context over all ranks; parts are the command's, else the shards of `shardRange`. */
  static whole(command: Command, workspace: Workspace): Context {
    const { ranks } = workspace.links;
    const { length } = command;
    const boundaries = command.offsets.length > 0 ? command.offsets : evenly(0, length, ranks.length);
    return new Context(command, workspace, { ranks, parts: consecutive(boundaries), length, firstStep: 0 });
  }

  /** The same command over a group of ranks. */
  over(group: Omit<Members, 'length'>): Context {
    const length = group.parts.flat().reduce((sum, [start, end]) => sum + end - start, 0);
    return new Context(this.command, this.workspace, { ...group, length });
  }

  /** Whether it is over all ranks and all of the values. */
  get isWhole(): boolean {
    return this.group.ranks === this.workspace.links.ranks;
  }

  /** The header with which a rank announces this call where no message does: with the root, and the length of its part. */
  announcementOf(rank: number): Header {
    const { kind, root } = this.command;
    return this.header(kind, this.rankAt(rank), 0, root, this.bytesOf(rank));
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
    return this.regions(index).reduce((sum, [start, end]) => sum + end - start, 0) * this.elementBytes;
  }

  /** Byte range from the first part to the last, of parts that follow each other. */
  get range(): Region {
    const { parts } = this.group;
    const { command, elementBytes } = this;
    const at = (element: number) => command.offset + element * elementBytes;
    return [at(parts[0][0][0]), at(parts[this.worldSize - 1][0][1])];
  }

  /** Number of different hosts that the ranks are on. */
  get hosts(): number {
    const { hosts } = this.workspace.links;
    return new Set(this.group.ranks.map((rank) => hosts[rank])).size;
  }

  /** Every other rank, beginning with the next one: ranks that all send in this order do not all send to one. */
  get peers(): number[] {
    return Array.from({ length: this.worldSize - 1 }, (_, index) => this.wrap(this.rank + 1 + index));
  }

  /** Whether a payload may be changed as soon as it is sent. */
  get copies(): boolean {
    return this.workspace.stage === undefined;
  }

  /**
   * The values in windows, each split evenly over the ranks, of which a rank can send its share in one round: the whole
   * where rounds have no limit. Steps of windows are two apart.
   */
  *windows(): Generator<Context> {
    const share = this.share();
    const { ranks, firstStep } = this.group;
    const [first, last] = [this.regions(0)[0][0], this.regions(this.worldSize - 1)[0][1]];
    const size = (share * this.worldSize) / this.elementBytes;
    if (last - first <= size) {
      yield this;
      return;
    }
    for (let start = first, step = firstStep; start < last; start += size, step += 2) {
      const parts = consecutive(evenly(start, Math.min(start + size, last), this.worldSize));
      yield this.over({ ranks, parts, firstStep: step });
    }
  }

  /**
   * Every part in pieces of `bytes` each, side by side, at least one, perhaps empty; all at once where rounds have no
   * limit.
   */
  *pieces(bytes: number): Generator<Context> {
    const size = bytes / this.elementBytes;
    const { ranks, parts, firstStep } = this.group;
    const longest = largest(parts.map(([[start, end]]) => end - start));
    if (bytes === Infinity || longest <= size) {
      yield this;
      return;
    }
    for (let at = 0, step = firstStep; at < longest; at += size, step++) {
      const cut = ([start, end]: Region): Region => [
        Math.min(start + at, end),
        Math.min(start + at + size, end),
      ];
      yield this.over({ ranks, parts: parts.map((part) => part.map(cut)), firstStep: step });
    }
  }

  /** Bytes that a rank may send to each other rank in a round, a multiple of 8 (float64). */
  share(): number {
    const { round } = this.workspace;
    return round ? 8 * Math.floor(round.bytes / this.worldSize / 8) : Infinity;
  }

  /** Call it before every rank sends to all others and receives from all others. */
  beginRound(): void {
    this.workspace.round?.begin();
  }

  /** A view of arena bytes. */
  view(start: number, end: number): Uint8Array {
    return this.workspace.bytes.subarray(start, end);
  }

  /** Arena bytes as a payload that needs no acknowledgement. */
  stage(start: number, end: number): Uint8Array {
    const { stage, bytes } = this.workspace;
    if (!stage) return this.view(start, end);
    const offset = stage.take(end - start);
    bytes.copyWithin(offset, start, end);
    return this.view(offset, offset + end - start);
  }

  /** Arena bytes of several regions, one after another, as a payload that needs no acknowledgement. */
  pack(regions: readonly Region[]): Uint8Array {
    if (regions.length === 0) return nothing;
    const { stage, bytes } = this.workspace;
    if (!stage) throw new RangeError('no send region to pack values into');
    const start = stage.take(regions.reduce((sum, region) => sum + region[1] - region[0], 0));
    let at = start;
    for (const [from, end] of regions) {
      bytes.copyWithin(at, from, end);
      at += end - from;
    }
    return this.view(start, at);
  }

  /** Adds a payload that was packed to the arena's values in regions, or copies it there; frees it. */
  unpack(regions: readonly Region[], payload: Uint8Array, act: 'add' | 'copy'): void {
    let at = 0;
    for (const [start, end] of regions) {
      const part = payload.subarray(at, at + end - start);
      if (act === 'add') this.add(start, part);
      else this.workspace.bytes.set(part, start);
      at += end - start;
    }
    giveBack(payload);
  }

  /** Sends `payload`, which must stay as it is until the peer is known to have it. */
  send(to: number, step: number, chunk: number, payload: Uint8Array, kind: Kind = this.command.kind): void {
    const { links } = this.workspace;
    const header = this.header(kind, links.rank, step, chunk, payload.length);
    links.connection(this.rankAt(to)).send(encodeHeader(header), payload);
  }

  /** Sends the same payload to every other rank. */
  sendToAll(step: number, chunk: number, payload: Uint8Array, kind: Kind = this.command.kind): void {
    const { links } = this.workspace;
    const frame = encodeHeader(this.header(kind, links.rank, step, chunk, payload.length));
    for (const peer of this.peers) links.connection(this.rankAt(peer)).send(frame, payload);
  }

  /** Receives the payload of `bytes` that must come next from a peer; it is valid until the peer's next one. */
  *receive(
    from: number,
    step: number,
    chunk: number,
    bytes: number,
    { kind = this.command.kind, into }: { kind?: Kind; into?: Uint8Array } = {},
  ): Steps<Uint8Array> {
    const { links, waiting } = this.workspace;
    const peer = this.rankAt(from);
    waiting(peer);
    const { header, payload } = yield { connection: links.connection(peer), bytes, into };
    checkHeader(header, this.header(kind, peer, step, chunk, bytes), links.rank, this.command.tag);
    return payload;
  }

  /** Receives what must come next from a peer into arena bytes [start, end). */
  *receiveInto(from: number, step: number, chunk: number, [start, end]: Region): Steps {
    const into = this.view(start, end);
    const payload = yield* this.receive(from, step, chunk, end - start, { into });
    if (payload !== into) this.copy(start, payload);
  }

  /** Combines the values of several ranks, and those with the arena's at `target`, in pairs; frees them. */
  reduceAll(target: number, payloads: readonly Uint8Array[]): void {
    if (payloads.length === 1) return this.reduce(target, payloads[0]);
    const { bytes, scratch, kernels } = this.workspace;
    const kernel = kernels.reduce[this.command.type][this.command.op];
    const { length } = payloads[0];
    if (payloads.every((payload) => this.isInArena(payload))) {
      const add = (to: number, from: number) => {
        kernel(to, from, length);
        return to;
      };
      const sum = pairwise(
        payloads.map(({ byteOffset }) => byteOffset),
        add,
      );
      return kernel(target, sum as number, length);
    }
    const block = 64 * Math.floor(scratchBytes / 64 / slotsFor(payloads.length));
    const at = (slot: number) => scratch + slot * block;
    for (let done = 0; done < length; done += block) {
      const size = Math.min(block, length - done);
      const load = (payload: Uint8Array, slot: number) =>
        bytes.set(payload.subarray(done, done + size), at(slot));
      sumInto({ load, add: (to, from) => kernel(at(to), at(from), size) }, payloads);
      kernel(target + done, at(0), size);
    }
    for (const payload of payloads) giveBack(payload);
  }

  /** Combines received values into the arena at `target`, and frees them. */
  reduce(target: number, payload: Uint8Array): void {
    this.add(target, payload);
    if (!this.isInArena(payload)) giveBack(payload);
  }

  /** Copies received values into the arena at `target`, and frees them. */
  copy(target: number, payload: Uint8Array): void {
    this.workspace.bytes.set(payload, target);
    giveBack(payload);
  }

  /** Sends every other rank an acknowledgement that this one has received all it needs, and waits for theirs. */
  *acknowledge(step: number): Steps {
    this.sendToAll(step, 0, nothing, 'acknowledge');
    for (const peer of this.peers) yield* this.receive(peer, step, 0, 0, { kind: 'acknowledge' });
  }

  private add(target: number, payload: Uint8Array): void {
    const { bytes, scratch, kernels } = this.workspace;
    const kernel = kernels.reduce[this.command.type][this.command.op];
    if (this.isInArena(payload)) return kernel(target, payload.byteOffset, payload.length);
    for (let done = 0; done < payload.length; done += scratchBytes) {
      const size = Math.min(scratchBytes, payload.length - done);
      bytes.set(size === payload.length ? payload : payload.subarray(done, done + size), scratch);
      kernel(target + done, scratch, size);
    }
  }

  private isInArena({ buffer }: Uint8Array): boolean {
    return buffer === this.workspace.bytes.buffer;
  }

  private rankAt(index: number): number {
    return this.group.ranks[this.wrap(index)];
  }

  private wrap(index: number): number {
    return ((index % this.worldSize) + this.worldSize) % this.worldSize;
  }

  private header(kind: Kind, source: number, step: number, chunk: number, bytes: number): Header {
    const { sequence, type, op, wire, length } = this.command;
    const { stream, generation } = this.workspace.links;
    return {
      kind,
      type,
      op,
      wire,
      stream,
      sequence,
      step: this.group.firstStep + step,
      chunk,
      source,
      tag: this.tag,
      elements: length,
      bytes,
      generation,
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
