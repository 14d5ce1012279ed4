import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadMemoryAddon } from '../../src/transport/host/memory-addon.js';
import { makeSharedMemory, openSharedMemory, SharedMemory } from '../../src/transport/host/shared-memory.js';
import type { Header } from '../../src/transport/wire.js';
import { needs } from '../needs.js';

const length = 20_001;

/** Two ranks in this thread, each with an arena as long as its values. */
class Pair {
  private readonly arenas = [0, 1].map(() => new Uint8Array(new SharedArrayBuffer(4 * length)));
  private readonly sides: SharedMemory[];

  constructor(folder: string) {
    this.sides = this.arenas.map((arena, rank) => {
      const descriptor = openSharedMemory(folder);
      try {
        return new SharedMemory(descriptor, { rank, ranks: 2, arena, blocks: false, interrupted: () => {} });
      } finally {
        closeSync(descriptor);
      }
    });
  }

  /** All-reduces [0, 1, 2, ...] of rank 0 and [0, 2, 4, ...] of rank 1; returns whether every element is right. */
  async sum(elements = length): Promise<boolean> {
    const values = this.arenas.map(({ buffer }, rank) =>
      new Float32Array(buffer).map((_, index) => (rank + 1) * index),
    );
    values.forEach((numbers, rank) => this.arenas[rank].set(new Uint8Array(numbers.buffer)));
    const call = { kind: 'allReduce', offset: 0, length: elements, root: 0, offsets: [] } as const;
    for (const [rank, side] of this.sides.entries()) side.begin(call, headerOf(rank, elements));
    while (this.sides.some(({ held }) => held))
      for (const side of this.sides) if (side.held) await side.receive();
    return this.arenas.every(({ buffer }) =>
      new Float32Array(buffer).every((value, index) => value === 3 * index),
    );
  }

  close(): void {
    for (const side of this.sides) side.close();
  }
}

function headerOf(source: number, elements: number): Header {
  const about = { kind: 'allReduce', type: 'float32', op: 'sum', wire: 'float32', stream: 0 } as const;
  const bytes = 4 * (source === 0 ? Math.floor(elements / 2) : Math.ceil(elements / 2));
  return { ...about, sequence: 1, step: 0, chunk: 0, source, tag: 0, elements, bytes, generation: 0 };
}

describe('SharedMemory', needs('the module for shared memory', loadMemoryAddon()), () => {
  let folder: string;
  beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'))));
  afterEach(() => rmSync(folder, { recursive: true }));

  it('is created once, with mode 600 and all its blocks', () => {
    expect(makeSharedMemory(folder, 2)).toBe(true);
    expect(makeSharedMemory(folder, 2)).toBe(false);
    const { mode, size, blocks } = statSync(join(folder, 'memory'));
    expect(mode & 0o777).toBe(0o600);
    expect(blocks * 512).toBeGreaterThanOrEqual(size);
  });

  it('leaks neither descriptors nor mappings over 200 configurations', async () => {
    const open = () => ({
      files: readdirSync('/proc/self/fd').length,
      mappings: readFileSync('/proc/self/maps', 'utf8')
        .split('\n')
        .filter((line) => line.includes(folder)).length,
    });
    const before = open();
    for (let generation = 0; generation < 200; generation++) {
      makeSharedMemory(folder, 2);
      const pair = new Pair(folder);
      rmSync(join(folder, 'memory'));
      expect(await pair.sum()).toBe(true);
      expect(open().mappings).toBe(before.mappings + 2);
      pair.close();
    }
    expect(open()).toEqual(before);
  });

  it('rejects values outside the arena, and calls after close', async () => {
    makeSharedMemory(folder, 2);
    const pair = new Pair(folder);
    await expect(pair.sum(length + 1)).rejects.toThrow('values outside of the arena');
    pair.close();
    await expect(pair.sum()).rejects.toMatchObject({ code: 'COMMUNICATOR_CLOSED' });
  });

  describe('in a small file system', needs('the right to mount one', mayMount()), () => {
    const within = async (size: string, work: () => Promise<void>) => {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder]);
      try {
        await work();
      } finally {
        execFileSync('umount', [folder]);
      }
    };

    it('takes smaller windows, reports them in a line, and sums exactly', () =>
      within('300k', async () => {
        const lines: string[] = [];
        expect(makeSharedMemory(folder, 2, (line) => lines.push(line))).toBe(true);
        expect(lines).toEqual([
          `${folder} has 307200 bytes left: workers exchange values in windows of 8192 bytes, not 524288`,
        ]);
        const pair = new Pair(folder);
        expect(await pair.sum()).toBe(true);
        pair.close();
      }));

    it('is not created without room for it, and reports that in a line', () =>
      within('48k', async () => {
        const lines: string[] = [];
        expect(makeSharedMemory(folder, 2, (line) => lines.push(line))).toBe(false);
        expect(lines).toEqual([
          `${folder} has no room for memory that workers share: they use pipes and files`,
        ]);
        expect(statSync(join(folder, 'memory')).size).toBe(0);
      }));
  });
});

function mayMount(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', folder], { stdio: 'ignore' });
    execFileSync('umount', [folder]);
    return true;
  } catch {
    return false;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
