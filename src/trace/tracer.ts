/** Rows for the collectives of each stream. */
export const streamThreads = [
  'communication',
  'urgent communication',
  'communication 2',
  'communication 3',
] as const;
/**
 * Rows of a rank's trace. Buckets overlap each other; the spans of the others nest. `incidents` has what follows the loss of
 * another rank, in an elastic run.
 */
export const traceThreads = ['compute', ...streamThreads, 'buckets', 'incidents'] as const;
export type TraceThread = (typeof traceThreads)[number];

/** A named interval of time. */
export interface TraceSpan {
  name: string;
  thread: TraceThread;
  /** Microseconds of the recording process's clock (`now`). */
  start: number;
  end: number;
  details: Readonly<Record<string, string | number>>;
}

/** Records what a thread does, as spans. */
export interface Tracer {
  /** The time now, for the start of a span; 0 where nothing is traced. */
  now(): number;
  /** A span that began at `start` and ends now. */
  span(thread: TraceThread, name: string, start: number, details?: TraceSpan['details']): void;
  /** Passes on the spans recorded so far. */
  flush(): void;
}

/** Tracer of runs that are not traced. */
export const noTracer: Tracer = { now: () => 0, span() {}, flush() {} };

/** Spans are passed on when this many are held, or when the oldest reaches this age. */
const mostSpans = 512;
const oldestMicroseconds = 250_000;

/** Collects spans and passes them on in batches: memory stays bounded, and a run that fails leaves its trace. */
export class SpanRecorder implements Tracer {
  private spans: TraceSpan[] = [];

  constructor(private readonly handOn: (spans: TraceSpan[]) => void) {}

  readonly now = now;

  span(thread: TraceThread, name: string, start: number, details: TraceSpan['details'] = {}): void {
    const end = now();
    this.spans.push({ name, thread, start, end, details });
    if (this.spans.length >= mostSpans || end - (this.spans[0]?.end ?? end) > oldestMicroseconds)
      this.flush();
  }

  flush(): void {
    if (this.spans.length === 0) return;
    const { spans } = this;
    this.spans = [];
    this.handOn(spans);
  }
}

/** Microseconds of the host's monotonic clock, which all its processes and threads share. */
export function now(): number {
  return Number(process.hrtime.bigint()) / 1000;
}
