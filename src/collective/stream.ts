import { messageOf, PodDistError } from '../util/errors.js';
import { runningClock } from '../util/running-clock.js';
import { noTracer, streamThreads, type Tracer } from '../trace/tracer.js';
import { allocate, type Arena } from './arena.js';
import { Channel, type Command } from './channel.js';
import { checkAgreement, disagreementWith } from './check.js';
import { Context, nothing, scratchBytes, type Workspace } from './context.js';
import type { Kernels } from './kernels/index.js';
import type { Mesh } from './mesh.js';
import type { Selection } from './selection.js';
import { SendStage } from './send-stage.js';
import { urgent } from './streams.js';
import { WireImage } from './wire-image.js';
import { hashTag } from './wire.js';

export interface StreamOptions {
  mesh: Mesh;
  arena: Arena;
  selection: Selection;
  checkCollectives: boolean;
  /** Bytes of the stream's longest collective. */
  largest: number;
  tracer?: Tracer;
  /** Rejects when the engine fails. */
  failure: Promise<never>;
  /** Told why no rank can go on. */
  fail(error: PodDistError): void;
  /** Told from time to time that a collective takes long. */
  slow(command: Command): void;
}

/** What a stream is at. */
export interface StreamProgress {
  /** Number of the last collective that it has begun. */
  begun: number;
  /** The one under way, such as `allReduce 'gradients'`; empty: none. */
  name: string;
  /** Milliseconds since that one began. */
  forMs: number;
}

const slowMs = 1000;

/**
 * Serves the collectives of one stream, one after another, with a channel, connections and memory of its own: what
 * README.md says of buffers in flight rests on the order of collectives, and holds for each stream by itself.
 */
export class Stream {
  private readonly channel: Channel;
  private waitingFor: number | undefined;
  private begun = 0;
  /** Collectives so far: which send region's turn it is. */
  private turns = 0;
  private running: { name: string; since: number } | undefined;

  constructor(
    private readonly stream: number,
    private readonly options: StreamOptions,
  ) {
    this.channel = new Channel(options.arena.control, stream);
  }

  /** Serves until the channel is closed or the engine has failed. */
  async serve(kernels: Kernels): Promise<void> {
    const { mesh, arena, largest } = this.options;
    const workspace: Workspace = {
      mesh,
      stream: this.stream,
      bytes: new Uint8Array(arena.memory.buffer),
      kernels,
      scratch: allocate(arena, scratchBytes),
      stage: new SendStage(arena, { largest, worldSize: mesh.worldSize }),
      image: new WireImage(arena),
      waiting: (rank) => (this.waitingFor = rank),
    };
    for (;;) {
      const command = await this.channel.next();
      if (!command) return;
      try {
        await this.execute(command, workspace);
      } catch (error) {
        this.options.fail(
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
  }

  /**
   * Looks for what peers have sent here of a collective that this rank has in another stream, and would wait for there:
   * `COLLECTIVE_MISMATCH`, since the ranks differ in its length or in whether it blocks.
   */
  findStray(command: Command): { peer: number; error: PodDistError } | undefined {
    const { mesh } = this.options;
    if (this.channel.busy) return undefined;
    for (const peer of mesh.peers) {
      const message = mesh.edge(peer, this.stream).look();
      const error = message && disagreementWith(message, peer, command, mesh.rank);
      if (error) return { peer, error };
    }
    return undefined;
  }

  /** Sends a peer the header of a call that this rank makes in another way, which is not the one that it waits for. */
  tell(peer: number, { kind, type, op, wire, sequence, tag, length }: Command): void {
    const { mesh } = this.options;
    const about = { kind, type, op, wire, stream: urgent, sequence, elements: length } as const;
    const where = { step: 0, chunk: 0, source: mesh.rank, tag: hashTag(tag), bytes: 0 };
    mesh.edge(peer, this.stream).send({ ...about, ...where }, nothing);
  }

  get failed(): boolean {
    return this.channel.failed;
  }

  /** Whether the compute thread waits in a collective, or has one in flight. */
  get busy(): boolean {
    return this.channel.busy;
  }

  get progress(): StreamProgress {
    const { running, begun } = this;
    return { begun, name: running?.name ?? '', forMs: running ? runningClock.now() - running.since : 0 };
  }

  /** Collectives done so far. */
  get completed(): number {
    return this.channel.completed;
  }

  private async execute(command: Command, workspace: Workspace): Promise<void> {
    const { stream } = this;
    const { tracer = noTracer, failure, slow } = this.options;
    this.prepare(command, workspace, tracer);
    const began = tracer.now();
    const context = Context.whole(command, workspace);
    workspace.stage.turn(++this.turns);
    this.begun = command.sequence;
    this.running = { name: `${command.kind} '${command.tag}'`, since: runningClock.now() };
    const deadline = runningClock.after(command.timeoutMs, () => this.expire(command));
    const looking = setInterval(() => slow(command), slowMs);
    try {
      const algorithm = this.run(context);
      algorithm.catch(() => {});
      await Promise.race([algorithm, failure]);
      tracer.span(streamThreads[stream], `${command.kind} ${command.tag}`, began, {
        collective: command.sequence,
        stream,
        bytes: command.length * context.elementBytes,
      });
    } finally {
      deadline.clear();
      clearInterval(looking);
      this.running = undefined;
    }
  }

  /** Runs the kernels that a command brings along, such as the update of weights before they are gathered. */
  private prepare({ program, tag }: Command, { kernels }: Workspace, tracer: Tracer): void {
    if (program === 0) return;
    const began = tracer.now();
    kernels.run(program);
    tracer.span(streamThreads[this.stream], `update ${tag}`, began);
  }

  private async run(context: Context): Promise<void> {
    const { mesh, checkCollectives, selection } = this.options;
    if (checkCollectives) await checkAgreement(context.command, this.stream, mesh);
    await selection.choose(context)(context);
  }

  private expire({ kind, tag, sequence, timeoutMs }: Command): void {
    const { mesh, fail } = this.options;
    fail(
      new PodDistError(
        'COLLECTIVE_TIMEOUT',
        `rank ${mesh.rank} has waited ${timeoutMs / 1000} s in ${kind} '${tag}' (collective ${sequence}) for rank ${this.waitingFor}`,
      ),
    );
  }
}
