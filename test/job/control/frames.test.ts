import { describe, expect, it } from 'vitest';
import { FrameJoiner, maxFrameBytes, maxMessageBytes, toFrames } from '../../../src/job/control/frames.js';
import { randomStream } from '../../../src/util/random.js';

describe('frames', () => {
  const step = maxFrameBytes - 1;
  it.each([0, 1, step - 1, step, step + 1, 3 * step, 3 * step + 7])('split and join %i bytes', (length) => {
    const random = randomStream(length);
    const message = Uint8Array.from({ length }, () => random.below(256));
    const frames = [...toFrames(message)];
    expect(frames).toHaveLength(Math.max(1, Math.ceil(length / step)));
    expect(frames.every((frame) => frame.length <= maxFrameBytes)).toBe(true);
    const joiner = new FrameJoiner();
    const joined = frames.map((frame) => joiner.add(frame));
    expect(joined.slice(0, -1).every((part) => part === undefined)).toBe(true);
    expect(Buffer.compare(Buffer.from(joined.at(-1) as Uint8Array), Buffer.from(message))).toBe(0);
    expect(joiner.add(Buffer.of(0, 5))).toEqual(Buffer.of(5));
  });

  it('reject a message that is too long, and frames without a valid first byte', () => {
    const joiner = new FrameJoiner();
    const frame = Buffer.alloc(maxFrameBytes, 1);
    expect(() => {
      for (let bytes = 0; bytes <= 2 * maxMessageBytes; bytes += step) joiner.add(frame);
    }).toThrow(/more than 67108864 bytes/);
    expect(() => new FrameJoiner().add(Buffer.of())).toThrow(/without its first byte/);
    expect(() => new FrameJoiner().add(Buffer.of(2, 0))).toThrow(/without its first byte/);
  });
});
