import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheFolder } from '../../util/cache-folder.js';

const require = createRequire(import.meta.url);

/** Folder of the C++ sources. */
export const memorySources = fileURLToPath(new URL('./memory', import.meta.url));

/** Exports of the module that set-up compiles (`memory/module.cc`). */
export interface MemoryAddon {
  /** Maps all of a file; `header` is read at each `begin`, `parts` where it says so. */
  map(
    descriptor: number,
    rank: number,
    ranks: number,
    arena: Uint8Array,
    header: Uint8Array,
    parts: Float64Array,
  ): object;
  unmap(mapping: object): void;
  begin(
    mapping: object,
    kind: number,
    type: number,
    op: number,
    offset: number,
    length: number,
    root: number,
    /** 1: the parts' boundaries are in `parts`; 0: they are shards. */
    parted: number,
  ): void;
  /** Returns -1 once the call is over, the rank that is waited for, or -2 less the rank that makes another call. */
  advance(mapping: object, milliseconds: number): number;
  /** Copies the header of a rank's present call. */
  headerOf(mapping: object, rank: number, into: Uint8Array): void;
}

/** SHA-256 of the sources, in hex: ranks share memory where they have the same. */
export function memoryDigest(): string {
  const hash = createHash('sha256');
  for (const name of readdirSync(memorySources).sort())
    hash.update(`${name}\0`).update(readFileSync(join(memorySources, name)));
  return hash.digest('hex');
}

/** The compiled module of these sources for this platform, there or not. */
export function memoryAddonFile(environment: NodeJS.ProcessEnv = process.env): string {
  const name = ['memory', process.platform, process.arch, memoryDigest().slice(0, 12)].join('-');
  return join(cacheFolder(environment), 'native', `${name}.node`);
}

/** Loads the module that set-up has compiled; undefined where there is none, or where it does not load here. */
export function loadMemoryAddon(file = memoryAddonFile()): MemoryAddon | undefined {
  if (!existsSync(file)) return undefined;
  try {
    return require(file) as MemoryAddon;
  } catch {
    return undefined;
  }
}
