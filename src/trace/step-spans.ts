import { noTracer, type Tracer } from './tracer.js';

/** The parts of a step, in order: to the loss, to the gradients, to updated weights, as far as it waits for them. */
export type StepPhase = 'forward' | 'backward' | 'update';

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
