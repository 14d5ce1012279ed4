import { messageOf, PodDistError } from '../errors.js';
import { allocate, type Arena } from './arena.js';
import { Channel, type Command } from './channel.js';
import { Context, scratchBytes } from './context.js';
import { barrier, broadcast, directAllGather, directAllReduce, directReduceScatter } from './direct.js';
import { loadKernels, type ReduceKernels } from './kernels/index.js';
import type { Mesh } from './mesh.js';
import { ringAllGather, ringAllReduce, ringReduceScatter } from './ring.js';

export interface EngineOptions {
  mesh: Mesh;
  arena: Arena;
  /** Payloads up to this size are exchanged directly, larger ones on the ring. */
  directBytes: number;
}

/**
 * Serves the compute thread's collectives, one after another, in the communication thread.
 *
 * Whatever goes wrong (a deadline, a lost peer, a mismatch, a stopped job) fails the running collective and every
 * later one: ranks that have missed a message can not go on together.
 */
export class Engine {
  private readonly channel: Channel;
  private readonly failure: Promise<never>;
  private reject!: (error: PodDistError) => void;
  private waitingFor: number | undefined;
  private sequence = 0;

  constructor(private readonly options: EngineOptions) {
    this.channel = new Channel(options.arena.control);
    this.failure = new Promise<never>((_, reject) => (this.reject = reject));
    this.failure.catch(() => {});
    options.mesh.onPeerLost((peer) => {
      this.fail(
        new PodDistError('PEER_LOST', `rank ${options.mesh.rank} has lost the connection to rank ${peer}`),
      );
    });
  }

  /** Serves until the channel is closed or the engine has failed. */
  async serve(): Promise<void> {
    const { arena } = this.options;
    const kernels = await loadKernels(arena.memory);
    const scratch = allocate(arena, scratchBytes);
    for (;;) {
      const command = await this.channel.next();
      if (!command) return;
      try {
        await this.execute(command, kernels, scratch);
      } catch (error) {
        this.fail(
          error instanceof PodDistError
            ? error
            : new PodDistError('COLLECTIVE_FAILED', messageOf(error), { cause: error }),
        );
        return;
      }
      this.channel.complete();
    }
  }

  /** Fails the running and every later collective with this error; wakes a compute thread that waits. */
  fail(error: PodDistError): void {
    this.channel.fail(error);
    this.reject(error);
  }

  /** Whether the compute thread waits in a collective, or has one in flight. */
  get busy(): boolean {
    return this.channel.busy;
  }

  /** Collectives done so far. */
  get completed(): number {
    return this.channel.completed;
  }

  private async execute(command: Command, kernels: ReduceKernels, scratch: number): Promise<void> {
    const { mesh, arena } = this.options;
    const waiting = (peer: number) => (this.waitingFor = peer);
    const context = new Context(command, ++this.sequence, mesh, arena.memory, kernels, scratch, waiting);
    const timer = setTimeout(() => this.expire(command), command.timeoutMs);
    try {
      const algorithm = this.choose(command)(context);
      algorithm.catch(() => {});
      await Promise.race([algorithm, this.failure]);
    } finally {
      clearTimeout(timer);
    }
  }

  private choose({ kind, type, length }: Command): (context: Context) => Promise<void> {
    const direct = length * (type === 'float64' ? 8 : 4) <= this.options.directBytes;
    switch (kind) {
      case 'allReduce':
        return direct ? directAllReduce : ringAllReduce;
      case 'reduceScatter':
        return direct ? directReduceScatter : ringReduceScatter;
      case 'allGather':
        return direct ? directAllGather : ringAllGather;
      case 'broadcast':
        return broadcast;
      case 'barrier':
        return barrier;
      default:
        throw new PodDistError('COLLECTIVE_FAILED', `${kind} is no collective`);
    }
  }

  private expire(command: Command): void {
    const { rank } = this.options.mesh;
    this.fail(
      new PodDistError(
        'COLLECTIVE_TIMEOUT',
        `rank ${rank} has waited ${command.timeoutMs / 1000} s in ${command.kind} '${command.tag}' (collective ${this.sequence}) for rank ${this.waitingFor}`,
      ),
    );
  }
}
