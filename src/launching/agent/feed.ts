import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, rmdirSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import type { RunListener } from '../../record/run-record.js';
import { findUserFolder } from '../../transport/user-folder.js';
import { feedCalls, feedOrder, readLine, type FeedEvent, type FeedOrder } from './feed-messages.js';

/** Events that are kept until somebody follows. */
const mostKept = 10_000;
/** A follower that has not read so many bytes is let go. */
const mostUnread = 64 * 2 ** 20;
const closeWithinMs = 1000;
const mostTries = 5;

/**
 * Tells everybody who follows a run what happens in it, and takes their orders: a Unix socket in this user's own folder,
 * which no other user can reach, a JSON text a line.
 */
export class RunFeed {
  private readonly followers = new Set<Socket>();
  /** Events before the first follower. */
  private kept: string[] | undefined = [];

  private constructor(
    readonly socket: string,
    private readonly server: Server,
    private readonly onOrder: (order: FeedOrder) => void,
  ) {
    server.on('connection', (follower) => this.admit(follower));
    // One that cannot be let in, as where too many files are open, follows later.
    server.on('error', () => {});
  }

  /** Listens; undefined where no folder is this user's alone. */
  static async open(onOrder: (order: FeedOrder) => void): Promise<RunFeed | undefined> {
    for (let tries = 0; tries < mostTries; tries++) {
      const folder = findUserFolder();
      if (folder === undefined) return undefined;
      await removeAbandoned(folder);
      const socket = join(folder, `run-${randomBytes(6).toString('hex')}`);
      const server = createServer();
      try {
        await once(server.listen(socket), 'listening');
        return new RunFeed(socket, server, onOrder);
      } catch (error) {
        // Another job has removed the folder, which was empty.
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
    }
    return undefined;
  }

  /** Listener of the run that passes its calls on. */
  get listener(): RunListener {
    return Object.fromEntries(
      feedCalls.map((call) => [call, (...args: unknown[]) => this.publish({ call, args })]),
    );
  }

  publish(event: FeedEvent): void {
    if (!this.kept && this.followers.size === 0) return;
    const line = `${JSON.stringify(event)}\n`;
    if (this.kept && this.kept.length < mostKept) this.kept.push(line);
    for (const follower of this.followers) {
      if (follower.writableLength > mostUnread) follower.destroy();
      else follower.write(line);
    }
  }

  /** Ends, once the followers have read everything, or a second later. */
  async close(): Promise<void> {
    const ends = [...this.followers].map(
      (follower) => new Promise((resolve) => follower.once('close', resolve).end()),
    );
    await Promise.race([Promise.all(ends), delay(closeWithinMs, undefined, { ref: false })]);
    for (const follower of this.followers) follower.destroy();
    this.server.close();
    rmSync(this.socket, { force: true });
    removeIfEmpty(dirname(this.socket));
  }

  /** Admits a connection, which hears nothing until it has given an order: another agent connects only to see whether this one is there. */
  private admit(follower: Socket): void {
    follower.on('error', () => {});
    follower.on('close', () => this.followers.delete(follower));
    const lines = createInterface({ input: follower });
    lines.on('error', () => {});
    lines.on('line', (line) => {
      const order = readLine(feedOrder, line);
      if (!order) return;
      this.followers.add(follower);
      if (!('follow' in order)) return this.onOrder(order);
      for (const line of this.kept ?? []) follower.write(line);
      this.kept = undefined;
    });
  }
}

function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // Others use it.
  }
}

/** Removes the sockets of agents that have ended before their time. */
async function removeAbandoned(folder: string): Promise<void> {
  for (const name of readdirSync(folder).filter((name) => name.startsWith('run-'))) {
    const path = join(folder, name);
    const socket = connect(path);
    const abandoned = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(false));
      socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code === 'ECONNREFUSED'));
    });
    socket.destroy();
    if (abandoned) rmSync(path, { force: true });
  }
}
