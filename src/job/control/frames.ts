/** Most bytes of one frame, its first byte included. What a stranger could make ZeroMQ keep is this much. */
export const maxFrameBytes = 65_536;
/** Most bytes of one message of a member, in all its frames. */
export const maxMessageBytes = 64 * 2 ** 20;

const last = 0;
const more = 1;

/** Cuts a message into frames: a byte that says whether more follow, and a part of the message. */
export function* toFrames(message: Uint8Array): Generator<Buffer> {
  const step = maxFrameBytes - 1;
  for (let start = 0; start === 0 || start < message.length; start += step) {
    const part = message.subarray(start, start + step);
    const frame = Buffer.allocUnsafe(part.length + 1);
    frame[0] = start + step < message.length ? more : last;
    frame.set(part, 1);
    yield frame;
  }
}

/** Reassembles the frames of one connection into messages. */
export class FrameJoiner {
  private parts: Uint8Array[] = [];
  private bytes = 0;

  /** Takes a frame; returns the message that ends with it. Throws for an invalid frame, or too long a message. */
  add(frame: Uint8Array): Uint8Array | undefined {
    const kind = frame[0] ?? Infinity;
    if (kind > more) throw new RangeError('a frame without its first byte');
    this.bytes += frame.length - 1;
    if (this.bytes > maxMessageBytes) throw new RangeError(`a message of more than ${maxMessageBytes} bytes`);
    // A copy: the frame's own memory belongs to ZeroMQ and is freed late.
    if (kind === more) {
      this.parts.push(Uint8Array.from(frame.subarray(1)));
      return undefined;
    }
    const message =
      this.parts.length === 0 ? frame.subarray(1) : Buffer.concat([...this.parts, frame.subarray(1)]);
    this.parts = [];
    this.bytes = 0;
    return message;
  }
}
