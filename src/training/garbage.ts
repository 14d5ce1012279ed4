import { setFlagsFromString } from 'node:v8';

/** Growth of the heap, in percent, up to which V8 marks nothing. */
const growthPercent = 400;

/**
 * Lets the heap of this process grow to five times what was alive before V8 collects all of it again.
 *
 * A training step makes a few megabytes of short-lived tensors and arrays. V8 counts those outside its heap (about
 * 40 MB here) in, and left to itself marks everything every few steps, on every thread that it has: with a core a
 * worker that takes 5 to 10 % of the step, and all ranks wait for the one that does it.
 */
export function collectGarbageRarely(): void {
  setFlagsFromString(`--heap-growing-percent=${growthPercent}`);
}
