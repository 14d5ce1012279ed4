import { statSync } from 'node:fs';
import { LineFile } from '../logging/line-file.js';
import { readRegularText } from '../util/regular-file.js';

/** Lines that have come, and whether those before are no longer the file's. */
export interface NewLines {
  lines: string[];
  anew: boolean;
}

/** The lines of a file that grows, and that another one may take the place of, as when a run is resumed. */
export class GrowingFile {
  private file: LineFile;

  constructor(private readonly path: string) {
    this.file = new LineFile(path);
  }

  /** The next lines, a mebibyte of them at most. */
  next(): NewLines {
    const anew = this.file.isReplaced();
    if (anew) {
      this.file.close();
      this.file = new LineFile(this.path);
    }
    return { lines: this.file.next().lines, anew };
  }

  close(): void {
    this.file.close();
  }
}

/** A file that is written whole, read again where it has changed. */
export class WholeFile<T> {
  /** What it holds; undefined where it is missing or broken. */
  value: T | undefined;
  private signature = '';

  constructor(
    private readonly path: string,
    private readonly mostBytes: number,
    private readonly parse: (text: string) => T | undefined,
  ) {}

  /** Reads it where it has changed, and says whether it has. */
  look(): boolean {
    const stats = statSync(this.path, { throwIfNoEntry: false });
    const signature = stats ? `${stats.dev} ${stats.ino} ${stats.size} ${stats.mtimeMs}` : '';
    if (signature === this.signature) return false;
    this.signature = signature;
    try {
      this.value = stats && this.parse(readRegularText(this.path, { mostBytes: this.mostBytes }));
    } catch {
      this.value = undefined;
    }
    return true;
  }
}
