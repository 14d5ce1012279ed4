import type { Numbers, ReduceOp } from '../communicator.js';
import { pairwise } from '../pairwise.js';
import { largestPayload, type Messages } from './messages.js';

/**
 * All-reduce of few values in messages, as `algorithms/exchange.ts` makes it, chunk by chunk: every rank sends its chunk
 * to every other and adds all N in pairs (`pairwise.ts`), so that results are bitwise equal everywhere.
 *
 * Messages a rank sends: (N - 1) C; bytes: (N - 1) S. A hop is one system call on each side and one thread that wakes,
 * where the engine wakes four.
 *
 * @param groups this rank's `siblings`
 */
export function exchange(
  messages: Messages,
  groups: readonly (readonly number[])[],
  values: Numbers,
  op: ReduceOp,
): void {
  const step = largestPayload / values.BYTES_PER_ELEMENT;
  const add = (a: Numbers, b: Numbers) => {
    combine[op](a, b);
    return a;
  };
  for (let start = 0; start === 0 || start < values.length; start += step) {
    const part = values.subarray(start, start + step);
    const receive = (rank: number) => numbersIn(messages.receive(rank, part.byteLength), part);
    messages.send(new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
    for (const group of groups) {
      const [first] = group;
      const sum =
        group.length > 1
          ? pairwise(
              group.map((rank) => receive(rank).slice()),
              add,
            )
          : receive(first);
      combine[op](part, sum as Numbers);
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
