import { closeSync } from 'node:fs';
import type { Connection, Endpoints, Transport } from '../connection.js';
import { HostConnections, type HostDescriptors } from './connection.js';
import { closeKeptFiles, makeKeptFile, openKeptFiles } from './kept-file.js';
import { closePipes, makePipes, openPipes, pipesFit } from './pipes.js';
import { loadMemoryAddon, memoryDigest } from './memory-addon.js';
import { makeSharedFile, openSharedFiles } from './shared-file.js';
import { makeSharedMemory, openSharedMemory } from './shared-memory.js';

interface HostTransportOptions {
  rank: number;
  /** Each rank's host, by rank. */
  hosts: readonly string[];
  /** Folder that all ranks share, for this user alone. */
  directory: string;
  /** Whether ranks may share memory; default: where the module for it has been compiled. */
  sharesMemory?: boolean;
  /** Called with what a user should know; default: nobody is told. */
  notify?(line: string): void;
}

/** Endpoint of a rank that has made its pipes and its file. */
const made = 'host';
/** Endpoint of a rank that can share memory: the version of its module. Rank 0 has made the memory. */
const shares = 'memory';

/**
 * Blocking connections between all ranks, where they share one host (`connection.ts`). Another thread of this process
 * may use the connections: `open` returns descriptors, and `HostConnections` takes them.
 */
export class HostTransport implements Transport {
  readonly name = 'host';
  readonly strangers = 0;
  readonly endpoints: Endpoints = {};
  private descriptors: HostDescriptors | undefined;

  constructor(private readonly options: HostTransportOptions) {}

  async bind(): Promise<void> {
    const { rank, hosts, directory } = this.options;
    if (!pipesFit(hosts)) return;
    const place = { directory, rank, worldSize: hosts.length };
    const all = (await makePipes(place)) && makeSharedFile(directory, rank) && makeKeptFile(directory, rank);
    if (!all) return;
    this.endpoints[made] = 'made';
    if (this.canShareMemory()) this.endpoints[shares] = memoryDigest();
  }

  /** Descriptors of all ranks' pipes and files; undefined where not every rank has made them. */
  open(table: Readonly<Record<number, Endpoints>>): HostDescriptors | undefined {
    const { rank, hosts, directory } = this.options;
    const worldSize = hosts.length;
    const ranks = Object.values(table);
    if (!ranks.every((endpoints) => made in endpoints)) return undefined;
    const version = ranks[0]?.[shares];
    const shared = version !== undefined && ranks.every((endpoints) => endpoints[shares] === version);
    this.descriptors = {
      pipes: openPipes({ directory, rank, worldSize }),
      files: openSharedFiles(directory, rank, worldSize),
      kept: openKeptFiles(directory, rank, worldSize),
      memory: shared ? openSharedMemory(directory) : undefined,
    };
    return this.descriptors;
  }

  connect(table: Readonly<Record<number, Endpoints>>): Connection[] {
    const descriptors = this.open(table);
    if (!descriptors) return [];
    const { rank } = this.options;
    const { connections } = new HostConnections(descriptors, { rank, stream: 0, interrupted: () => {} });
    return [...connections.values()];
  }

  async close(): Promise<void> {
    const { descriptors } = this;
    this.descriptors = undefined;
    if (!descriptors) return;
    closePipes(descriptors.pipes);
    closeKeptFiles(descriptors.kept);
    for (const file of descriptors.files) closeSync(file);
    if (descriptors.memory !== undefined) closeSync(descriptors.memory);
  }

  private canShareMemory(): boolean {
    const { rank, hosts, directory, sharesMemory = true, notify } = this.options;
    if (!sharesMemory || !loadMemoryAddon()) return false;
    return rank > 0 || makeSharedMemory(directory, hosts.length, notify);
  }
}
