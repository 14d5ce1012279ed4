import { PodDistError } from '../../util/errors.js';
import { runningClock } from '../../util/running-clock.js';
import type { WorkerMessage } from '../control/protocol.js';
import type { Member } from './roster.js';

type State = 'joining' | 'connecting' | 'running' | 'ended';

/** State in which ranks may send each message; `lastWords` are allowed even after they have finished. */
const stateOf: Partial<Record<WorkerMessage['type'], State>> = {
  endpoints: 'connecting',
  connected: 'connecting',
  agree: 'running',
  gather: 'running',
  record: 'running',
  finished: 'running',
};
const lastWords = new Set<WorkerMessage['type']>(['beat', 'clock', 'trace', 'lost', 'stuck', 'failed']);

/** Milliseconds after the deadline at which ranks are taken not to connect: they report it themselves at the deadline. */
const connectingGraceMs = 3000;

/**
 * How far a job has come: its workers join, its ranks connect to each other, it runs, it has ended. An elastic job connects
 * and runs again with each configuration.
 */
export class Phase {
  state: State = 'joining';
  private since = runningClock.now();

  enter(state: State): void {
    this.state = state;
    this.since = runningClock.now();
  }

  /** What the workers have not done in time, if that is so: joined, or connected to each other. */
  overdue(now: number, joinTimeoutMs: number): 'joining' | 'connecting' | undefined {
    const waitedMs = now - this.since;
    if (this.state === 'joining' && waitedMs > joinTimeoutMs) return 'joining';
    if (this.state === 'connecting' && waitedMs > joinTimeoutMs + connectingGraceMs) return 'connecting';
    return undefined;
  }

  /**
   * Refuses a message of a member that comes out of turn.
   *
   * @throws PodDistError `PROTOCOL_ERROR`
   */
  expect(type: WorkerMessage['type'], { finished }: Pick<Member, 'finished'>): void {
    const inTime = (stateOf[type] ?? this.state) === this.state;
    if (!inTime || (finished && !lastWords.has(type)))
      throw new PodDistError(
        'PROTOCOL_ERROR',
        `it says ${type} ${inTime ? 'after it has finished' : 'out of turn'}`,
      );
  }
}
