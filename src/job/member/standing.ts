import type { Held } from '../../training/recovery-point.js';
import type { WorkerMessage } from '../control/protocol.js';
import type { Place } from './thread-protocol.js';

/**
 * Where a worker stands between the configurations of its job, as its communication thread knows it.
 *
 *     take, settle    a plan gives it a place in generation g; it listens there, and the ranks connect
 *     enter           they go on together: the compute thread is in the configuration
 *     reform          the coordinator asks for generation g + 1, or is lost (`orphan`)
 *     left            the compute thread has left; the worker says that it is ready
 */
export class Standing {
  /** Its place in the present configuration, or in the last one. */
  place: Place | undefined;
  /** Whether the compute thread is in no configuration. */
  away = true;
  /** Whether the coordinator is lost, and the next one has not said yet what to be ready for. */
  orphaned = false;
  /** Whether it has been a member of a coordinator before the present one. */
  rejoined = false;
  /** Snapshots that the compute thread has. */
  private held: readonly Held[] = [];
  /** The latest generation that a coordinator has told of. */
  private heard = 0;
  /** Generation that it is to be ready for, once it has left its present one. */
  private next: number | undefined;

  /** Takes a place that the coordinator gives. */
  take(place: Place): void {
    this.place = place;
    this.heard = place.generation;
    this.orphaned = false;
  }

  /** It listens in its place. Until then connections of the configuration before end, and no loss of those counts. */
  settle(): void {
    this.next = undefined;
  }

  enter(): void {
    this.away = false;
  }

  /** The coordinator ends the present configuration. */
  reform(generation: number): void {
    this.next = this.heard = generation;
    this.orphaned = false;
  }

  /** The coordinator is lost; another one is looked for. */
  orphan(): void {
    this.next ??= this.heard;
    this.orphaned = this.rejoined = true;
  }

  left(held: readonly Held[]): void {
    this.away = true;
    this.held = held;
  }

  /** Whether it is about to leave its configuration, or has left it. */
  get leaving(): boolean {
    return this.next !== undefined;
  }

  /** Whether this is still its place, and it is not about to leave it. */
  isIn(place: Place): boolean {
    return this.place === place && !this.leaving;
  }

  /** What it has to say once it has left its configuration for another one. */
  get ready(): WorkerMessage {
    return { type: 'ready', generation: this.next ?? this.heard, held: [...this.held] };
  }

  /** Its last place, for a coordinator that it joins again. */
  get last(): { rank: number | undefined; generation: number } {
    return { rank: this.place?.rank, generation: this.heard };
  }
}
