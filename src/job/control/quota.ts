interface Allowance {
  /** Largest burst. */
  burst: number;
  /** Amount added each second. */
  perSecond: number;
}

/** Frames and bytes of one member: more than a rank sends even if its steps take one millisecond. */
const frames: Allowance = { burst: 5000, perSecond: 2000 };
const bytes: Allowance = { burst: 96 * 2 ** 20, perSecond: 8 * 2 ** 20 };

/** Token buckets that limit the messages of one member. */
export class Quota {
  private readonly left = { frames: frames.burst, bytes: bytes.burst };

  constructor(private filled: number) {}

  /** Counts a frame; returns which limit it exceeds, if any. */
  take(frameBytes: number, now: number): string | undefined {
    const seconds = (now - this.filled) / 1000;
    this.filled = now;
    this.left.frames = Math.min(frames.burst, this.left.frames + seconds * frames.perSecond) - 1;
    this.left.bytes = Math.min(bytes.burst, this.left.bytes + seconds * bytes.perSecond) - frameBytes;
    if (this.left.frames < 0) return `more than ${frames.perSecond} messages a second`;
    if (this.left.bytes < 0) return `more than ${bytes.perSecond / 2 ** 20} MiB a second`;
    return undefined;
  }
}
