import { closeSync, fstatSync, readSync, statSync } from 'node:fs';
import { openRegular } from '../util/regular-file.js';

const chunkBytes = 2 ** 20;
const newline = 0x0a;

export interface Lines {
  lines: string[];
  /** When the file was last written to, in milliseconds since 1970. */
  changed: number;
}

/** Whole lines of a file that another thread or process appends to. */
export class LineFile {
  private file: number | undefined;
  private rest = Buffer.alloc(0);

  /** `offset`: bytes that are left out at its beginning. */
  constructor(
    private readonly path: string,
    private offset = 0,
  ) {}

  /** Bytes before the next line. */
  get at(): number {
    return this.offset - this.rest.length;
  }

  /** The next lines, a mebibyte of them at most. */
  next(): Lines {
    const none = { lines: [], changed: 0 };
    if (!this.open()) return none;
    const file = this.file as number;
    const changed = fstatSync(file).mtimeMs;
    const chunk = Buffer.allocUnsafe(chunkBytes);
    const bytes = readSync(file, chunk, 0, chunkBytes, this.offset);
    if (bytes === 0) return none;
    this.offset += bytes;
    const text = Buffer.concat([this.rest, chunk.subarray(0, bytes)]);
    const end = text.lastIndexOf(newline) + 1;
    this.rest = text.subarray(end);
    return { lines: end === 0 ? [] : text.toString('utf8', 0, end - 1).split('\n'), changed };
  }

  /** Whether its path now names another file, or what was read of it is gone. */
  isReplaced(): boolean {
    if (this.file === undefined) return false;
    const now = statSync(this.path, { throwIfNoEntry: false });
    const { dev, ino } = fstatSync(this.file);
    return now?.dev !== dev || now.ino !== ino || now.size < this.offset;
  }

  close(): void {
    if (this.file !== undefined) closeSync(this.file);
    this.file = undefined;
  }

  private open(): boolean {
    try {
      this.file ??= openRegular(this.path).descriptor;
      return true;
    } catch {
      return false;
    }
  }
}
