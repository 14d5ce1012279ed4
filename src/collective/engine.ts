import { messageOf, PodDistError } from '../errors.js';
import { noTracer, type Tracer } from '../trace/tracer.js';
import { allocate, type Arena } from './arena.js';
import { Channel, type Command } from './channel.js';
import { checkAgreement } from './check.js';
import { Context, scratchBytes, type Workspace } from './context.js';
import { loadKernels } from './kernels/index.js';
import type { Mesh } from './mesh.js';
import { Selection, type Thresholds } from './selection.js';
import { SendStage } from './send-stage.js';
import { WireImage } from './wire-image.js';

export interface EngineOptions {
  mesh: Mesh;
  arena: Arena;
  thresholds: Thresholds;
  /** Compares every collective over the ranks before it. */
  checkCollectives?: boolean;
  /** Told how long each collective takes in this thread; default: nobody is. */
  tracer?: Tracer;
}

/**
 * Serves the compute thread's collectives, one after another, in the communication thread.
 *
 * Whatever goes wrong (a deadline, a lost peer, a mismatch, a stopped job) fails the running collective and every
 * later one: ranks that have missed a message can not go on together.
 */
export class Engine {
  private readonly channel: Channel;
  private readonly selection: Selection;
  private readonly failure: Promise<never>;
  private reject!: (error: PodDistError) => void;
  private waitingFor: number | undefined;
  private sequence = 0;
  private running: { name: string; since: number } | undefined;

  constructor(private readonly options: EngineOptions) {
    this.channel = new Channel(options.arena.control);
    this.selection = new Selection(options.thresholds, options.mesh.hosts);
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
    const { mesh, arena } = this.options;
    const workspace: Workspace = {
      mesh,
      bytes: new Uint8Array(arena.memory.buffer),
      kernels: await loadKernels(arena.memory),
      scratch: allocate(arena, scratchBytes),
      stage: new SendStage(arena),
      image: new WireImage(arena),
      waiting: (rank) => (this.waitingFor = rank),
    };
    for (;;) {
      const command = await this.channel.next();
      if (!command) return;
      try {
        await this.execute(command, workspace);
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

  /** Collectives begun so far, and the one under way. */
  get collectives(): { begun: number; name: string; forMs: number } {
    const { running, sequence } = this;
    return {
      begun: sequence,
      name: running?.name ?? '',
      forMs: running ? performance.now() - running.since : 0,
    };
  }

  /** Collectives done so far. */
  get completed(): number {
    return this.channel.completed;
  }

  private async execute(command: Command, workspace: Workspace): Promise<void> {
    const { tracer = noTracer } = this.options;
    this.prepare(command, workspace, tracer);
    const began = tracer.now();
    const context = Context.whole(command, ++this.sequence, workspace);
    workspace.stage.turn(this.sequence);
    this.running = { name: `${command.kind} '${command.tag}'`, since: performance.now() };
    const timer = setTimeout(() => this.expire(command), command.timeoutMs);
    try {
      const algorithm = this.run(context);
      algorithm.catch(() => {});
      await Promise.race([algorithm, this.failure]);
      tracer.span('communication', `${command.kind} ${command.tag}`, began, {
        collective: this.sequence,
        bytes: command.length * context.elementBytes,
      });
    } finally {
      clearTimeout(timer);
      this.running = undefined;
    }
  }

  private prepare({ program, tag }: Command, { kernels }: Workspace, tracer: Tracer): void {
    if (program === 0) return;
    const began = tracer.now();
    kernels.run(program);
    tracer.span('communication', `update ${tag}`, began);
  }

  private async run(context: Context): Promise<void> {
    const { mesh, checkCollectives } = this.options;
    if (checkCollectives) await checkAgreement(context.command, this.sequence, mesh);
    await this.selection.choose(context)(context);
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
