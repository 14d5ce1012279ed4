const textAt = 16;
const textBytes = 240;

/** Bytes of the shared buffer of a `Status`. */
export const statusBytes = textAt + textBytes;

/**
 * State of the compute thread, in shared memory: a counter that grows with its progress, whether it waits for other ranks,
 * and a phase in words. The communication thread's beats carry it, whatever the compute thread is busy with.
 */
export class Status {
  private readonly words: Int32Array;
  private readonly text: Buffer;

  constructor(buffer: SharedArrayBuffer) {
    this.words = new Int32Array(buffer, 0, textAt / 4);
    this.text = Buffer.from(buffer as unknown as ArrayBuffer, textAt, textBytes);
  }

  /** Reports progress, and the next phase: `lengthy` work may take long without a sign of progress. */
  move(phase: string, lengthy = false): void {
    const bytes = Buffer.from(phase).subarray(0, textBytes);
    bytes.copy(this.text);
    Atomics.store(this.words, 2, bytes.length);
    Atomics.store(this.words, 3, Number(lengthy));
    Atomics.add(this.words, 0, 1);
  }

  /** Runs `work` as waiting for other ranks. */
  async waiting<T>(work: Promise<T>): Promise<T> {
    Atomics.add(this.words, 1, 1);
    try {
      return await work;
    } finally {
      Atomics.sub(this.words, 1, 1);
      Atomics.add(this.words, 0, 1);
    }
  }

  get progress(): number {
    return Atomics.load(this.words, 0);
  }

  get isWaiting(): boolean {
    return Atomics.load(this.words, 1) > 0;
  }

  get isLengthy(): boolean {
    return Atomics.load(this.words, 3) === 1;
  }

  get phase(): string {
    return Buffer.from(this.text.subarray(0, Atomics.load(this.words, 2))).toString('utf8');
  }
}
