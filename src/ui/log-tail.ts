import { statSync } from 'node:fs';
import { stripVTControlCharacters } from 'node:util';
import { LineFile } from '../logging/line-file.js';
import { printableLines } from '../util/printable.js';
import type { EventStream } from './event-stream.js';

const lookEveryMs = 500;
/** Bytes of the end of a log that a page gets at first. */
const firstBytes = 64 * 1024;

/** Sends a log to a page: its end, then what is added. One that comes again gets what it does not have. */
export class LogTail {
  private file: LineFile;
  private inode: number;
  private readonly timer: NodeJS.Timeout;

  /** `known` is the id of the last event that the page has. */
  constructor(
    private readonly path: string,
    private readonly stream: EventStream,
    known: string | undefined,
  ) {
    const { ino, size } = sizeOf(path);
    const [inode, at] = (known ?? '').split('-').map(Number);
    const goesOn = inode === ino && at !== undefined && at <= size;
    const from = goesOn ? at : Math.max(0, size - firstBytes);
    this.inode = ino;
    this.file = new LineFile(path, from);
    const { lines } = this.file.next();
    if (!goesOn && from > 0) lines.shift();
    this.send(goesOn ? 'lines' : 'begin', lines);
    this.timer = setInterval(() => this.look(), lookEveryMs);
  }

  close(): void {
    clearInterval(this.timer);
    this.file.close();
  }

  private look(): void {
    const anew = this.file.isReplaced();
    if (anew) {
      this.file.close();
      this.file = new LineFile(this.path);
      this.inode = sizeOf(this.path).ino;
    }
    const { lines } = this.file.next();
    if (anew || lines.length > 0) this.send(anew ? 'begin' : 'lines', lines);
  }

  private send(event: 'begin' | 'lines', lines: readonly string[]): void {
    const text = printableLines(stripVTControlCharacters(lines.map((line) => `${line}\n`).join('')));
    this.stream.send(event, text, `${this.inode}-${this.file.at}`);
  }
}

function sizeOf(path: string): { ino: number; size: number } {
  return statSync(path, { throwIfNoEntry: false }) ?? { ino: 0, size: 0 };
}
