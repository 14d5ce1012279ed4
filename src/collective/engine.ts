import type { HostDescriptors } from '../transport/host/connection.js';
import type { KeptFiles } from '../transport/host/kept-file.js';
import { wakeReader } from '../transport/host/pipes.js';
import { PodDistError } from '../util/errors.js';
import type { Tracer } from '../trace/tracer.js';
import type { Arena } from './arena.js';
import type { CallRecord } from './call-record.js';
import type { Command } from './channel.js';
import { callRecord } from './control.js';
import { loadKernels } from './kernels.js';
import type { Mesh } from './mesh.js';
import { Selection, type Thresholds } from './selection.js';
import { Stream } from './stream.js';
import { streams } from './streams.js';
import { Watchdog, type Watched } from './watchdog.js';

export interface EngineOptions {
  mesh: Mesh;
  arena: Arena;
  thresholds: Thresholds;
  /** Whether every collective is first compared over the ranks. */
  checkCollectives?: boolean;
  /** Records how long each collective takes in this thread; default: no tracing. */
  tracer?: Tracer;
}

/** Facts about the connections that the compute thread needs. */
export interface Connections {
  /** Whether all ranks share a host and no network is between them. */
  withinHost: boolean;
  /** Descriptors over which the compute thread may make blocking collectives itself; undefined: it may not. */
  direct?: HostDescriptors;
  /** Files in which ranks keep what is to outlive them. */
  kept?: KeptFiles;
  generation: number;
  /** Each rank's host, by rank. */
  hosts: readonly string[];
}

/** Progress of a server of collectives. */
export interface CollectiveProgress {
  /** Number of the last collective that it has begun. */
  begun: number;
  /** Name of the collective under way, such as `allReduce 'gradients'`; empty: none. */
  name: string;
  /** Milliseconds since that one began. */
  forMs: number;
}

/**
 * Serves the compute thread's collectives in the communication thread, in several streams: while one awaits the
 * network, another goes on. It also watches the calls that the compute thread makes by itself.
 *
 * A failure in one (a deadline, a lost peer, a mismatch, a stopped job) fails the running collectives and every later
 * one of all streams, with the same error: ranks that have missed a message can not go on together.
 */
export class Engine {
  private readonly streams: readonly Stream[];
  private readonly calls: CallRecord;
  private watchdog: Watchdog | undefined;
  private woken = false;
  private reject!: (error: PodDistError) => void;

  constructor(private readonly options: EngineOptions) {
    const { mesh, arena, thresholds, checkCollectives = false, tracer } = options;
    const selection = new Selection(thresholds);
    const failure = new Promise<never>((_, reject) => (this.reject = reject));
    failure.catch(() => {});
    const fail = (error: PodDistError) => this.fail(error);
    const shared = { mesh, arena, selection, checkCollectives, tracer, failure, fail };
    this.calls = callRecord(arena.control);
    this.streams = streams.map((_, stream) => new Stream(stream, shared));
    mesh.onPeerLost((peer) =>
      fail(new PodDistError('PEER_LOST', `rank ${mesh.rank} has lost the connection to rank ${peer}`)),
    );
  }

  /** Serves until the communicator is closed or the engine has failed. */
  async serve(): Promise<void> {
    const { mesh, arena } = this.options;
    this.watchdog = new Watchdog([...this.streams, this.calls], {
      rank: mesh.rank,
      fail: (error) => this.fail(error),
      slow: (watched, command) => this.lookForStray(watched, command),
      look: () => {
        if (this.streams.some(({ failed }) => failed)) this.wake();
      },
    });
    try {
      const kernels = await loadKernels(arena.memory);
      await Promise.all(this.streams.map((stream) => stream.serve(kernels)));
    } finally {
      this.watchdog.close();
    }
  }

  /** Connections, for the compute thread, once the mesh is connected. */
  get connections(): Connections {
    const { mesh, checkCollectives } = this.options;
    const { withinHost, generation, hosts } = mesh;
    const direct = checkCollectives ? undefined : withinHost;
    const { kept } = withinHost ?? {};
    return { withinHost: withinHost !== undefined, direct, kept, generation, hosts };
  }

  /** Fails the running and every later collective with this error; wakes a compute thread that waits. */
  fail(error: PodDistError): void {
    for (const stream of this.streams) stream.fail(error);
    this.wake();
    this.reject(error);
  }

  /** Ends `serve`. */
  close(): void {
    for (const stream of this.streams) stream.close();
  }

  /** Whether the compute thread waits in a collective, or has one in flight. */
  get busy(): boolean {
    return this.served.some(({ busy }) => busy);
  }

  /** Progress of each stream, and of the calls that the compute thread makes itself. */
  get collectives(): CollectiveProgress[] {
    return this.served.map((one) => {
      const forMs = this.watchdog?.forMs(one) ?? 0;
      const { begun, running } = one;
      return { begun, name: running && forMs > 0 ? `${running.kind} '${running.tag}'` : '', forMs };
    });
  }

  /** Collectives done so far. */
  get completed(): number {
    return this.served.reduce((sum, { completed }) => sum + completed, 0);
  }

  private get served(): (Stream | CallRecord)[] {
    return [...this.streams, this.calls];
  }

  /** Ends the read that the compute thread is blocked in, or the next one. */
  private wake(): void {
    const { withinHost } = this.options.mesh;
    if (this.woken || !withinHost) return;
    this.woken = true;
    wakeReader(withinHost.pipes);
  }

  /**
   * Fails where a peer has sent to another stream the message that this rank waits for in its own stream, or over
   * pipes. The peer cannot look into pipes: it is sent the header of the call.
   */
  private lookForStray(own: Watched, command: Command): void {
    for (const other of this.streams) {
      const stray = other === own ? undefined : other.findStray(command);
      if (!stray) continue;
      if (own === this.calls) other.tell(stray.peer, command);
      return this.fail(stray.error);
    }
  }
}
