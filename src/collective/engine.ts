import { PodDistError } from '../util/errors.js';
import type { Tracer } from '../trace/tracer.js';
import type { Arena } from './arena.js';
import type { Command } from './channel.js';
import { callRecord } from './control.js';
import { loadKernels } from './kernels/index.js';
import type { Mesh } from './mesh.js';
import { Selection, type Thresholds } from './selection.js';
import { Stream, type StreamProgress } from './stream.js';
import { streams, urgent } from './streams.js';
import type { HostConnections } from './within-host/direct-collectives.js';
import { CallWatch } from './within-host/watch.js';

export interface EngineOptions {
  mesh: Mesh;
  arena: Arena;
  thresholds: Thresholds;
  /** Compares every collective over the ranks before it. */
  checkCollectives?: boolean;
  /** Told how long each collective takes in this thread; default: nobody is. */
  tracer?: Tracer;
}

/** What the compute thread is told of the connections. */
export interface Connections {
  /** Whether all ranks share a host and no network is between them. */
  withinHost: boolean;
  /** Over which the compute thread may make blocking collectives itself; none: it may not. */
  direct?: HostConnections;
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
  private direct: CallWatch | undefined;
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
          slow: (command) => this.lookForStray(command, stream),
        }),
    );
    mesh.onPeerLost((peer) =>
      fail(new PodDistError('PEER_LOST', `rank ${mesh.rank} has lost the connection to rank ${peer}`)),
    );
  }

  /** Serves until the communicator is closed or the engine has failed. */
  async serve(): Promise<void> {
    const { mesh, arena, checkCollectives } = this.options;
    if (mesh.withinHost && !checkCollectives)
      this.direct = new CallWatch({
        rank: mesh.rank,
        record: callRecord(arena.control),
        ends: mesh.withinHost.pipes,
        fail: (error) => this.fail(error),
        slow: (command) => this.lookForStray(command),
        failed: () => this.streams.some(({ failed }) => failed),
      });
    try {
      const kernels = await loadKernels(arena.memory);
      await Promise.all(this.streams.map((stream) => stream.serve(kernels)));
    } finally {
      this.direct?.close();
    }
  }

  /** For the compute thread, once the mesh is connected. */
  get connections(): Connections {
    const { mesh, checkCollectives } = this.options;
    const { withinHost } = mesh;
    return { withinHost: withinHost !== undefined, direct: checkCollectives ? undefined : withinHost };
  }

  /** Fails the running and every later collective with this error; wakes a compute thread that waits. */
  fail(error: PodDistError): void {
    for (const stream of this.streams) stream.fail(error);
    this.direct?.wake();
    this.reject(error);
  }

  /** Whether the compute thread waits in a collective, or has one in flight. */
  get busy(): boolean {
    return this.served.some(({ busy }) => busy);
  }

  /** What each stream is at, and the calls that the compute thread makes itself. */
  get collectives(): StreamProgress[] {
    return this.served.map(({ progress }) => progress);
  }

  /** Collectives done so far. */
  get completed(): number {
    return this.served.reduce((sum, { completed }) => sum + completed, 0);
  }

  private get served(): (Stream | CallWatch)[] {
    return this.direct ? [...this.streams, this.direct] : [...this.streams];
  }

  /**
   * Fails where a peer has sent to another stream what this rank waits for in its own, or over pipes: there the peer
   * cannot look, and is told.
   */
  private lookForStray(command: Command, own?: number): void {
    for (const [stream, other] of this.streams.entries()) {
      const stray = stream === own ? undefined : other.findStray(command);
      if (!stray) continue;
      if (own === undefined) other.tell(stray.peer, command);
      return this.fail(stray.error);
    }
  }
}
