import { deserialize, serialize } from 'node:v8';

const headerBytes = 16;
const mostBytes = 4 * 2 ** 20;

/**
 * Progress and current input of a fuzzing thread, in memory that another thread reads, so that the input is known if the
 * thread hangs or dies.
 */
export class Progress {
  readonly memory: SharedArrayBuffer;
  private readonly numbers: Int32Array;
  private readonly input: Uint8Array;

  constructor(memory?: SharedArrayBuffer) {
    this.memory = memory ?? new SharedArrayBuffer(headerBytes + mostBytes);
    this.numbers = new Int32Array(this.memory, 0, headerBytes / 4);
    this.input = new Uint8Array(this.memory, headerBytes);
  }

  begin(input: unknown): void {
    const bytes = serialize(input);
    Atomics.store(this.numbers, 1, 0);
    if (bytes.length <= mostBytes) {
      this.input.set(bytes);
      Atomics.store(this.numbers, 1, bytes.length);
    }
    Atomics.add(this.numbers, 0, 1);
  }

  /** Number of inputs begun. */
  get begun(): number {
    return Atomics.load(this.numbers, 0);
  }

  /** The last input begun, as `read` takes it; undefined before the first input, or if the input is too large. */
  get last(): Buffer | undefined {
    const length = Atomics.load(this.numbers, 1);
    return length === 0 ? undefined : Buffer.from(this.input.slice(0, length));
  }

  /** Decodes a kept input. */
  static read(bytes: Uint8Array): unknown {
    return deserialize(bytes);
  }
}
