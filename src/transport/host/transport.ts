import { closeSync } from 'node:fs';
import type { Connection, Endpoints, Transport } from '../connection.js';
import { HostConnections, type HostDescriptors } from './connection.js';
import { closeKeptFiles, makeKeptFile, openKeptFiles } from './kept-file.js';
import { closePipes, makePipes, openPipes, pipesFit } from './pipes.js';
import { makeSharedFile, openSharedFiles } from './shared-file.js';

interface HostTransportOptions {
  rank: number;
  /** Each rank's host, by rank. */
  hosts: readonly string[];
  /** Folder that all ranks share, for this user alone. */
  directory: string;
}

/** Endpoint of a rank that has made its pipes and its file. */
const made = 'host';

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
    if (all) this.endpoints[made] = 'made';
  }

  /** Descriptors of all ranks' pipes and files; undefined where not every rank has made them. */
  open(table: Readonly<Record<number, Endpoints>>): HostDescriptors | undefined {
    const { rank, hosts, directory } = this.options;
    const worldSize = hosts.length;
    if (!Object.values(table).every((endpoints) => made in endpoints)) return undefined;
    this.descriptors = {
      pipes: openPipes({ directory, rank, worldSize }),
      files: openSharedFiles(directory, rank, worldSize),
      kept: openKeptFiles(directory, rank, worldSize),
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
  }
}
