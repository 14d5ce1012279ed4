import { closeSync, ftruncateSync, openSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { messageOf, PodDistError } from '../../util/errors.js';
import { present } from '../../util/present.js';
import type { Message } from '../connection.js';
import { elementTypes, headerBytes, ops, writeHeader, type Header, type Kind } from '../wire.js';
import { loadMemoryAddon, type MemoryAddon } from './memory-addon.js';

/** As `memory/wait.h` has them. */
const controlBytes = 16_384;
const announcementBytes = 64;

/** Bytes of a window: what helps, for each rank and at most; what all ranks' windows may take together; the least. */
const window = { each: 262_144, most: 1_048_576, all: 8_388_608, least: 4096 } as const;
/** Share of the free memory that is taken. */
const share = 1 / 4;
const zeros = Buffer.alloc(65_536);

/** Collectives that ranks make in shared memory, as `memory/exchange.h` numbers them. */
const collectives: readonly Kind[] = ['allReduce', 'reduceScatter', 'allGather', 'broadcast', 'barrier'];

/** Milliseconds that a rank sleeps at most before it looks whether its group has failed. */
const sleepMs = 20;

/** Polls of a call one after another, before there is a millisecond between them. */
const manyPolls = 1000;

/** What the module returns once a call is over; less than that where a rank makes another call. */
const over = -1;
/** Milliseconds that mean no waiting. */
const notAtAll = -1;

/**
 * Makes the file that all ranks of a host map, two windows a rank, all of it in memory already: a write never finds it
 * full. Where there is little room windows are smaller. False where there is none, or where it is there already.
 */
export function makeSharedMemory(
  directory: string,
  ranks: number,
  notify: (line: string) => void = () => {},
): boolean {
  let file: number;
  try {
    file = openSync(pathOf(directory), 'wx', 0o600);
  } catch {
    return false;
  }
  try {
    const { bavail, bsize } = statfsSync(directory);
    const wanted = windowFor(ranks);
    for (let bytes = wanted; bytes >= window.least; bytes /= 2) {
      const size = controlBytes + 2 * ranks * bytes;
      if (size > bavail * bsize * share || !fill(file, size)) continue;
      if (bytes < wanted)
        notify(
          `${directory} has ${bavail * bsize} bytes left: workers exchange values in windows of ${bytes} bytes, not ${wanted}`,
        );
      return true;
    }
    ftruncateSync(file);
    notify(`${directory} has no room for memory that workers share: they use pipes and files`);
    return false;
  } finally {
    closeSync(file);
  }
}

/** A descriptor of the file, once it is made. */
export function openSharedMemory(directory: string): number {
  return openSync(pathOf(directory), 'r+');
}

/** A power of two. */
function windowFor(ranks: number): number {
  const bytes = Math.min(window.most, window.each * ranks, window.all / 2 / ranks);
  return 2 ** Math.floor(Math.log2(bytes));
}

/** Makes a file so long, with room for all of it; false where there is none. */
function fill(file: number, size: number): boolean {
  try {
    ftruncateSync(file);
    for (let done = 0; done < size;)
      done += writeSync(file, zeros, 0, Math.min(zeros.length, size - done), done);
    return true;
  } catch {
    return false;
  }
}

function pathOf(directory: string): string {
  return join(directory, 'memory');
}

interface SharedMemoryOptions {
  rank: number;
  ranks: number;
  /** The memory in which the values of all calls lie. */
  arena: Uint8Array;
  /** Whether a wait blocks the thread; else other work of the thread goes on. */
  blocks: boolean;
  /** Called whenever a wait that blocks ends: throws where the group has failed. */
  interrupted(): void;
}

/** A collective on values of the arena. */
interface MemoryCall {
  kind: Kind;
  /** Byte offset in the arena. */
  offset: number;
  length: number;
  root: number;
  /** Boundaries of ranks' parts, in elements; empty: shards. */
  offsets: readonly number[];
}

/**
 * Collectives of the ranks of one host in memory that all of them map: a rank combines values straight from where the
 * others have written them (`memory/exchange.h`). One that blocks waits a moment on its core, and then sleeps until the
 * last rank has come.
 */
export class SharedMemory {
  private readonly header = Buffer.alloc(announcementBytes);
  private readonly parts: Float64Array;
  private readonly addon: MemoryAddon;
  private mapping: object | undefined;
  private state = over;
  private polls = 0;

  /** @throws PodDistError `COLLECTIVE_FAILED` where the module does not load, or the system maps no memory */
  constructor(
    descriptor: number,
    private readonly options: SharedMemoryOptions,
    addon = loadMemoryAddon(),
  ) {
    const { rank, ranks, arena } = options;
    this.parts = new Float64Array(ranks + 1);
    try {
      this.addon = present(addon, 'the module for shared memory');
      this.mapping = this.addon.map(descriptor, rank, ranks, arena, this.header, this.parts);
    } catch (cause) {
      throw new PodDistError('COLLECTIVE_FAILED', `rank ${rank} maps no shared memory: ${messageOf(cause)}`, {
        cause,
      });
    }
  }

  static carriesOut(kind: Kind): boolean {
    return collectives.includes(kind);
  }

  /** Begins a call, and goes on as far as it can without waiting long; ranks compare what they announce. */
  begin({ kind, offset, length, root, offsets }: MemoryCall, announcement: Header): void {
    const { type, op } = announcement;
    writeHeader(this.header, announcement);
    this.parts.set(offsets);
    const of = [collectives.indexOf(kind), elementTypes.indexOf(type), ops.indexOf(op)] as const;
    this.polls = 0;
    this.addon.begin(this.mapped, ...of, offset, length, root, offsets.length > 0 ? 1 : 0);
    this.advance(this.options.blocks ? 0 : notAtAll);
  }

  /** The rank that the call under way waits for, or one that makes another call; undefined once the call is over. */
  get held(): { rank: number; disagrees: boolean } | undefined {
    const { state } = this;
    if (state === over) return undefined;
    return state > over ? { rank: state, disagrees: false } : { rank: over - 1 - state, disagrees: true };
  }

  /** What a rank has announced in the present call. */
  announcementOf(rank: number): Buffer {
    const header = Buffer.alloc(announcementBytes);
    this.addon.headerOf(this.mapped, rank, header);
    return header.subarray(0, headerBytes);
  }

  /** Waits for the others, at most a moment, and goes on with the call. */
  receive(): Message | Promise<Message> {
    if (!this.options.blocks) return this.poll();
    this.advance(sleepMs);
    this.options.interrupted();
    return nothing;
  }

  /** Gives the memory back; safe to call twice. */
  close(): void {
    if (this.mapping) this.addon.unmap(this.mapping);
    this.mapping = undefined;
  }

  private async poll(): Promise<Message> {
    if (++this.polls < manyPolls) await setImmediate();
    else await setTimeout(1);
    if (this.mapping) this.advance(notAtAll);
    return nothing;
  }

  private advance(milliseconds: number): void {
    this.state = this.addon.advance(this.mapped, milliseconds);
  }

  private get mapped(): object {
    if (this.mapping) return this.mapping;
    throw new PodDistError('COMMUNICATOR_CLOSED', 'the shared memory has been given back');
  }
}

const nothing: Message = { header: new Uint8Array(0), payload: new Uint8Array(0) };
