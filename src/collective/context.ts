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
import type { Links } from './mesh.js';
import { reduceInPairs, reduceInto, type ReduceMemory } from './reduce.js';
import { consecutive, evenly, sizeOf, type Region } from './regions.js';
import type { SendStage } from './send-stage.js';
import type { Steps } from './steps.js';
import type { WireImage } from './wire-image.js';

/** Chooses how a phase of a collective is carried out over a group of ranks, and carries it out. */
export interface PhaseSelection {
  runFlat(collective: ReducingKind, context: Context, wire: WireType): Steps;
}

/** Resources that a server of collectives lends to each of them. */
export interface Workspace extends ReduceMemory {
  links: Links;
  selection: PhaseSelection;
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
    const length = sizeOf(group.parts.flat());
    return new Context(this.command, this.workspace, { ...group, length });
  }

  /** The same command over the same ranks, with other parts; its steps are those from `step` on. */
  cut(parts: readonly (readonly Region[])[], step: number): Context {
    const { ranks, firstStep } = this.group;
    return this.over({ ranks, parts, firstStep: firstStep + step });
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
    return sizeOf(this.regions(index)) * this.elementBytes;
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
    const start = stage.take(sizeOf(regions));
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
      if (act === 'add') reduceInto(this.workspace, this.command, start, part);
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
    reduceInPairs(this.workspace, this.command, target, payloads);
  }

  /** Combines received values into the arena at `target`, and frees them. */
  reduce(target: number, payload: Uint8Array): void {
    reduceInto(this.workspace, this.command, target, payload);
    if (payload.buffer !== this.workspace.bytes.buffer) giveBack(payload);
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
