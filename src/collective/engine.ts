import { PodDistError } from '../errors.js';
import type { Tracer } from '../trace/tracer.js';
import type { Arena } from './arena.js';
import { loadKernels } from './kernels/index.js';
import type { Mesh } from './mesh.js';
import { Selection, type Thresholds } from './selection.js';
import { Stream, type StreamProgress } from './stream.js';
import { streams, urgent } from './streams.js';

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
 * Serves the compute thread's collectives in the communication thread, in several streams: while one awaits the network,
 * another goes on.
 *
 * Whatever goes wrong in one (a deadline, a lost peer, a mismatch, a stopped job) fails the running collectives and every
 * later one of all streams, with the same error: ranks that have missed a message can not go on together.
 */
export class Engine {
  private readonly streams: readonly Stream[];
  private reject!: (error: PodDistError) => void;

  constructor(private readonly options: EngineOptions) {
    const { mesh, arena, thresholds, checkCollectives = false, tracer } = options;
    const selection = new Selection(thresholds, mesh.hosts);
    const failure = new Promise<never>((_, reject) => (this.reject = reject));
    failure.catch(() => {});
    const fail = (error: PodDistError) => this.fail(error);
    const shared = { mesh, arena, selection, checkCollectives, tracer, failure, fail };
    this.streams = streams.map(
      (_, stream) =>
        new Stream(stream, {
          ...shared,
          largest: stream === urgent ? thresholds.urgentBytes : Infinity,
          slow: (command) => {
            const others = this.streams.filter((_, index) => index !== stream);
            const stray = others.map((other) => other.findStray(command)).find((error) => error);
            if (stray) fail(stray);
          },
        }),
    );
    mesh.onPeerLost((peer) =>
      fail(new PodDistError('PEER_LOST', `rank ${mesh.rank} has lost the connection to rank ${peer}`)),
    );
  }

  /** Serves until the communicator is closed or the engine has failed. */
  async serve(): Promise<void> {
    const kernels = await loadKernels(this.options.arena.memory);
    await Promise.all(this.streams.map((stream) => stream.serve(kernels)));
  }

  /** Fails the running and every later collective with this error; wakes a compute thread that waits. */
  fail(error: PodDistError): void {
    for (const stream of this.streams) stream.fail(error);
    this.reject(error);
  }

  /** Whether the compute thread waits in a collective, or has one in flight. */
  get busy(): boolean {
    return this.streams.some((stream) => stream.busy);
  }

  /** What each stream is at. */
  get collectives(): StreamProgress[] {
    return this.streams.map((stream) => stream.progress);
  }

  /** Collectives done so far. */
  get completed(): number {
    return this.streams.reduce((sum, stream) => sum + stream.completed, 0);
  }
}
