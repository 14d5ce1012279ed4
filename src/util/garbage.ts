import { setFlagsFromString } from 'node:v8';

/** Growth of the heap, in percent, up to which V8 marks nothing. */
const growthPercent = 400;

/**
 * Lets the heap of this process grow to five times what was alive before V8 collects all of it again.
 *
 * A training step makes a few megabytes of short-lived tensors and arrays. V8 counts arrays outside its heap in; with the
 * 40 MB that a worker has alive, left to itself it marks everything every few steps, on every thread that it has. Where a
 * worker has one core that is taken from its steps, and all ranks wait for the one that marks.
 */
export function collectGarbageRarely(): void {
  setFlagsFromString(`--heap-growing-percent=${growthPercent}`);
}
