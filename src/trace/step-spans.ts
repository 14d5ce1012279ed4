import { noTracer, type Tracer } from './tracer.js';

/**
 * The parts of a step, in order: to the loss, to the gradients, to updated weights, as far as it waits for them. `passes`
 * stands for the first two where they are one graph.
 */
export type StepPhase = 'forward' | 'backward' | 'passes' | 'update';

/** A listener for the phases of a step that starts now; it records each as a span. */
export function phaseSpans(tracer: Tracer): (ended: StepPhase) => void {
  let since = tracer.now();
  return (ended) => {
    tracer.span('compute', ended, since);
    since = tracer.now();
  };
}

/** Passes the batches on; the time spent waiting for each becomes a span. */
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
