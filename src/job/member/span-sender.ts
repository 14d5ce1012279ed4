import { ClockOffset, type ClockSample } from '../../trace/clock-offset.js';
import { noTracer, now, SpanRecorder, type Tracer, type TraceSpan } from '../../trace/tracer.js';
import type { WorkerMessage } from '../control/protocol.js';

/** Round trips for the coordinator's clock before the job begins; afterwards there is one a beat. */
const firstSamples = 8;

/** Sends the spans of a worker's threads to the coordinator, with the difference between the two clocks. */
export class SpanSender {
  /** Records the spans of this thread, where the job is traced. */
  readonly tracer: Tracer;
  private readonly clock = new ClockOffset();
  private samples = 0;

  constructor(
    traced: boolean,
    private readonly post: (message: WorkerMessage) => Promise<void>,
  ) {
    this.tracer = traced ? new SpanRecorder((spans) => void this.send(spans)) : noTracer;
  }

  /** Asks for the coordinator's time. */
  ask(): void {
    void this.post({ type: 'clock', sent: now() });
  }

  /** The coordinator has answered. */
  answered(times: Omit<ClockSample, 'received'>): void {
    this.clock.add({ ...times, received: now() });
    if (++this.samples < firstSamples) this.ask();
  }

  /** There is a clock whenever there is a span: the first answer comes before the job begins. */
  async send(spans: TraceSpan[]): Promise<void> {
    const clock = this.clock.at(now());
    if (clock) await this.post({ type: 'trace', spans, clock });
  }
}
