import type { z } from 'zod';
import type { Communicator } from '../collective/communicator.js';
import { PodDistError } from '../util/errors.js';

/** Bytes of the longest value. */
const mostBytes = 2 ** 30;

/**
 * Sends a value of plain data, which `schema` describes, from `root` to every rank.
 *
 * @throws PodDistError `PROTOCOL_ERROR` where the bytes of `root` are no such value
 */
export async function broadcastValue<T>(
  schema: z.ZodType<T>,
  value: T | undefined,
  root: number,
  communicator: Communicator,
): Promise<T> {
  const bytes = value === undefined ? new Uint8Array() : Buffer.from(JSON.stringify(value));
  const length = Float64Array.of(bytes.length);
  await communicator.broadcast(length, root, { tag: 'value/length' });
  const [count = NaN] = length;
  if (!(Number.isInteger(count) && count >= 0 && count <= mostBytes)) throw unreadable(root);
  const numbers = new Float64Array(Math.ceil(count / 8));
  const room = Buffer.from(numbers.buffer);
  room.set(bytes);
  await communicator.broadcast(numbers, root, { tag: 'value' });
  return readValue(schema, room.subarray(0, count), root);
}

function readValue<T>(schema: z.ZodType<T>, bytes: Buffer, root: number): T {
  try {
    return schema.parse(JSON.parse(bytes.toString()));
  } catch (cause) {
    throw unreadable(root, cause);
  }
}

function unreadable(root: number, cause?: unknown): PodDistError {
  return new PodDistError('PROTOCOL_ERROR', `rank ${root} sends a value that cannot be read`, { cause });
}
