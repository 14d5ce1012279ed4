import { noTracer, type Tracer } from '../trace/tracer.js';
import type { StepPhase } from './step.js';

/** What a step is to tell its phases to, from its start on, for the trace to have them. */
export function phaseSpans(tracer: Tracer): (ended: StepPhase) => void {
  let since = tracer.now();
  return (ended) => {
    tracer.span('compute', ended, since);
    since = tracer.now();
  };
}

/** The same batches; the trace has the time that they are waited for. */
export function loaderSpans<T>(batches: AsyncIterable<T>, tracer: Tracer): AsyncIterable<T> {
  return tracer === noTracer ? batches : traced(batches, tracer);
}

async function* traced<T>(batches: AsyncIterable<T>, tracer: Tracer): AsyncIterable<T> {
  let since = tracer.now();
  for await (const batch of batches) {
    tracer.span('compute', 'loader', since);
    yield batch;
    since = tracer.now();
  }
}
