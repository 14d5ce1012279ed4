import type { Tracer, TraceSpan } from '../trace/tracer.js';

/**
 * Adds up the time in which the compute thread has nothing to do but wait for collectives.
 *
 * A call that is awaited waits from when its caller yields. Calls that are awaited together count once; when one of
 * them ends, what its caller goes on to compute does not count: the clock runs again in the event loop's next turn.
 */
export class WaitClock {
  /** Milliseconds so far. */
  total = 0;
  private calls = 0;
  private since: number | undefined;
  private traced = 0;

  constructor(private readonly tracer: Tracer) {}

  /** A call is awaited from now on. */
  begin(): void {
    if (this.calls++ === 0) this.run();
  }

  /** An awaited call, described for the trace, has ended. */
  end(call: TraceSpan['details']): void {
    this.pause(call);
    if (--this.calls > 0)
      setImmediate(() => {
        if (this.calls > 0 && this.since === undefined) this.run();
      });
  }

  private run(): void {
    this.since = performance.now();
    this.traced = this.tracer.now();
  }

  private pause(call: TraceSpan['details']): void {
    if (this.since === undefined) return;
    this.total += performance.now() - this.since;
    this.since = undefined;
    this.tracer.span('compute', 'waiting', this.traced, call);
  }
}
