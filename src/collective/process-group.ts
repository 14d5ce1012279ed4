import type { Endpoints } from '../transport/connection.js';
import { PodDistError } from '../util/errors.js';
import { resetArena, type Arena } from './arena.js';
import { communicatorClosed } from './channel.js';
import { Engine, type CollectiveProgress, type Connections, type EngineOptions } from './engine.js';
import { Mesh, type MeshOptions } from './mesh.js';

export interface GroupOptions extends Omit<EngineOptions, 'mesh'> {
  arena: Arena;
  /** Called with each peer whose connection ends, once. */
  lost?(peer: number): void;
}

/**
 * The ranks that collectives go over, as the communication thread sees them. A group may be configured again in the same
 * process, with other ranks: connections, channels and the arena's memory of the configuration before are given back
 * first, and messages of another generation are refused.
 *
 * Use: `bind`, publish the endpoints, get everybody's, `connect`, `serve`. On the compute thread each configuration has a
 * `SharedCommunicator` of its own; what it has allocated ends with the configuration.
 */
export class ProcessGroup {
  private mesh: Mesh | undefined;
  private binding: Promise<Mesh> | undefined;
  private engine: Engine | undefined;
  private serving: Promise<void> | undefined;

  constructor(private readonly options: GroupOptions) {}

  /** Leaves the previous configuration and listens for the peers of the next; returns the endpoints to publish. */
  async bind(options: MeshOptions): Promise<Endpoints> {
    if (this.binding) {
      await this.leave();
      resetArena(this.options.arena);
    }
    const sharesMemory = this.options.thresholds.sharedMemory !== 'off';
    this.binding = Mesh.bind({ sharesMemory, ...options });
    const mesh = await this.binding;
    this.mesh = mesh;
    const { lost } = this.options;
    if (lost) mesh.onPeerLost(lost);
    this.engine = new Engine({ ...this.options, mesh });
    return mesh.endpoints;
  }

  /**
   * Connects to the peers. `table` holds every rank's endpoints.
   *
   * @throws PodDistError `MESH_FAILED` past the deadline
   */
  async connect(table: Readonly<Record<number, Endpoints>>, timeoutMs: number): Promise<Connections> {
    const { mesh, engine } = this;
    if (!mesh || !engine) throw new PodDistError('MESH_FAILED', 'the group has not been bound');
    await mesh.connect(table, { timeoutMs });
    return engine.connections;
  }

  /** Peers that `connect` has not reached. */
  get unreached(): number[] {
    return this.mesh?.unreached ?? [];
  }

  /** Serves the compute thread's collectives until the configuration ends. */
  serve(): void {
    this.serving = this.engine?.serve();
  }

  /** Whether a configuration has begun. */
  get bound(): boolean {
    return this.mesh !== undefined;
  }

  /** Fails the running and every later collective of this configuration. */
  fail(error: PodDistError): void {
    this.engine?.fail(error);
  }

  /** Whether the compute thread waits in a collective, or has one in flight. */
  get busy(): boolean {
    return this.engine?.busy ?? false;
  }

  /** Collectives done so far in this configuration. */
  get completed(): number {
    return this.engine?.completed ?? 0;
  }

  /** Progress of each stream, and of the calls that the compute thread makes itself. */
  get collectives(): CollectiveProgress[] {
    return this.engine?.collectives ?? [];
  }

  /** Connections to this rank's ports that were not of this job, so far. */
  get strangers(): number {
    return this.mesh?.strangers ?? 0;
  }

  /** Ends the last configuration; safe to call while it begins. */
  async close(): Promise<void> {
    await this.leave();
  }

  private async leave(): Promise<void> {
    const { binding, engine, serving } = this;
    this.binding = undefined;
    this.mesh = undefined;
    this.engine = undefined;
    this.serving = undefined;
    if (engine?.busy) engine.fail(communicatorClosed());
    else engine?.close();
    const mesh = await binding?.catch(() => undefined);
    await mesh?.close();
    await serving;
  }
}
