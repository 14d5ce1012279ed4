import type { Numbers, ReduceOp } from '../communicator.js';
import { siblings, sumInto } from '../pairwise.js';
import { largestPayload, type Messages } from './messages.js';

/**
 * All-reduce of few values in messages, as `algorithms/exchange.ts` makes it, chunk by chunk: every rank sends its chunk
 * to every other and adds all N in pairs (`pairwise.ts`), so that results are bitwise equal everywhere.
 *
 * Messages a rank sends: (N - 1) C; bytes: (N - 1) S. A hop is one system call on each side and one thread that wakes,
 * where the engine wakes four.
 */
export function exchange(messages: Messages, values: Numbers, op: ReduceOp): void {
  const step = largestPayload / values.BYTES_PER_ELEMENT;
  const groups = siblings(messages.rank, messages.worldSize);
  for (let start = 0; start === 0 || start < values.length; start += step) {
    const part = values.subarray(start, start + step);
    const places: Numbers[] = [];
    messages.send(new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
    for (const group of groups) {
      const load = (rank: number, slot: number) => {
        const received = numbersIn(messages.receive(rank, part.byteLength), part);
        places[slot] = group.length === 1 ? received : received.slice();
      };
      sumInto({ load, add: (to, from) => combine[op](places[to], places[from]) }, group);
      combine[op](part, places[0]);
    }
  }
}

/** A payload as numbers of the same type. */
function numbersIn({ buffer, byteOffset }: Buffer, { length, BYTES_PER_ELEMENT }: Numbers): Numbers {
  return BYTES_PER_ELEMENT === 8
    ? new Float64Array(buffer, byteOffset, length)
    : new Float32Array(buffer, byteOffset, length);
}

/** Combines values into a target, as the kernels of the same name do. */
const combine: Record<ReduceOp, (target: Numbers, values: Numbers) => void> = {
  sum(target, values) {
    for (let index = 0; index < target.length; index++) target[index] += values[index];
  },
  max(target, values) {
    for (let index = 0; index < target.length; index++)
      target[index] = Math.max(target[index], values[index]);
  },
};
