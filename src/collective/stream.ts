import { encodeHeader, hashTag } from '../transport/wire.js';
import { messageOf, PodDistError } from '../util/errors.js';
import { noTracer, streamThreads, type Tracer } from '../trace/tracer.js';
import { algorithms } from './algorithms/index.js';
import { allocate, type Arena } from './arena.js';
import { Channel, type Command } from './channel.js';
import { checkAgreement, disagreementWith } from './check.js';
import { Context, nothing, type Workspace } from './context.js';
import { scratchBytes } from './reduce.js';
import type { Kernels } from './kernels.js';
import type { Mesh } from './mesh.js';
import { begin, type Selection } from './selection.js';
import { SendStage } from './send-stage.js';
import { drive } from './steps.js';
import { urgent } from './streams.js';
import type { Watched } from './watchdog.js';
import { WireImage } from './wire-image.js';

export interface StreamOptions {
  mesh: Mesh;
  arena: Arena;
  selection: Selection;
  checkCollectives: boolean;
  tracer?: Tracer;
  /** Rejects when the engine fails. */
  failure: Promise<never>;
  /** Called with the reason why no rank can go on. */
  fail(error: PodDistError): void;
}

/**
 * Serves the collectives of one stream, one after another, with a channel, connections and memory of its own: what
 * README.md says of buffers in flight rests on the order of collectives, and holds for each stream by itself.
 */
export class Stream implements Watched {
  waitingFor: number | undefined;
  running: Command | undefined;
  /** Number of the last collective that it has begun. */
  begun = 0;
  private readonly channel: Channel;
  /** Collectives so far: which send region's turn it is. */
  private turns = 0;

  constructor(
    private readonly stream: number,
    private readonly options: StreamOptions,
  ) {
    this.channel = new Channel(options.arena.control, stream);
  }

  /** Serves until the channel is closed or the engine has failed. */
  async serve(kernels: Kernels): Promise<void> {
    const { mesh, arena, selection } = this.options;
    const workspace: Workspace & { stage: SendStage } = {
      links: mesh.links(this.stream),
      selection,
      bytes: new Uint8Array(arena.memory.buffer),
      kernels,
      scratch: allocate(arena, scratchBytes),
      stage: new SendStage(arena),
      image: new WireImage(arena),
      waiting: (rank) => (this.waitingFor = rank),
    };
    for (;;) {
      const command = await this.channel.next();
      if (!command) return;
      try {
        this.channel.complete(await this.execute(command, workspace));
      } catch (error) {
        this.options.fail(
          error instanceof PodDistError
            ? error
            : new PodDistError('COLLECTIVE_FAILED', messageOf(error), { cause: error }),
        );
        return;
      }
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
      const message = mesh.connection(peer, this.stream).look();
      const error = message && disagreementWith(message, peer, command, mesh.rank);
      if (error) return { peer, error };
    }
    return undefined;
  }

  /** Sends a peer the header of a call that this rank makes in another way, which is not the one that it waits for. */
  tell(peer: number, { kind, type, op, wire, sequence, tag, length }: Command): void {
    const { rank: source, generation } = this.options.mesh;
    const about = { kind, type, op, wire, stream: urgent, sequence, elements: length, generation } as const;
    const header = encodeHeader({ ...about, step: 0, chunk: 0, source, tag: hashTag(tag), bytes: 0 });
    this.options.mesh.connection(peer, this.stream).send(header, nothing);
  }

  /** Ends `serve`, once the collective under way is over. */
  close(): void {
    this.channel.close();
  }

  get failed(): boolean {
    return this.channel.failed;
  }

  /** Whether the compute thread waits in a collective, or has one in flight. */
  get busy(): boolean {
    return this.channel.busy;
  }

  /** Collectives done so far. */
  get completed(): number {
    return this.channel.completed;
  }

  /** Carries a command out; returns the place of the algorithm that has done so. */
  private async execute(command: Command, workspace: Workspace & { stage: SendStage }): Promise<number> {
    const { stream } = this;
    const { tracer = noTracer, failure, selection, checkCollectives } = this.options;
    this.prepare(command, workspace.kernels, tracer);
    const began = tracer.now();
    workspace.stage.turn(++this.turns);
    this.begun = command.sequence;
    this.running = command;
    try {
      const context = Context.whole(command, workspace);
      const algorithm = selection.choose(context);
      const carriedOut = (async () => {
        if (checkCollectives) await drive(checkAgreement(command, workspace.links));
        await drive(begin(algorithm, command.kind, context));
      })();
      carriedOut.catch(() => {});
      await Promise.race([carriedOut, failure]);
      tracer.span(streamThreads[stream], `${command.kind} ${command.tag}`, began, {
        collective: command.sequence,
        stream,
        bytes: command.length * context.elementBytes,
        algorithm: algorithm.name,
      });
      return algorithms.indexOf(algorithm);
    } finally {
      this.running = undefined;
    }
  }

  /** Makes the calls that a command brings along, such as the update of weights before they are gathered. */
  private prepare({ before, tag }: Command, kernels: Kernels, tracer: Tracer): void {
    if (before === 0) return;
    const began = tracer.now();
    kernels.run(before);
    tracer.span(streamThreads[this.stream], `update ${tag}`, began);
  }
}
