import { readCode, type ErrorCode } from './error-codes.js';
import { printable } from './printable.js';

const start = 'pod-dist: ';
const hintAtEnd = / \(see pod-dist explain ([A-Z_]+)\)$/;

/**
 * The line that a command ends with after an error: the message, and how to read more about its code. Mistakes in flags
 * name the help instead.
 */
export function errorLine({ code, message }: { code: ErrorCode; message: string }): string {
  const hint = message.endsWith('--help') ? '' : ` (see pod-dist explain ${code})`;
  return `${start}${printable(message)}${hint}`;
}

/** What such a line of another process says, with its code if it names one; undefined for any other line. */
export function readErrorLine(line: string): { code?: ErrorCode; message: string } | undefined {
  if (!line.startsWith(start)) return undefined;
  const text = line.slice(start.length);
  const [hint, code] = hintAtEnd.exec(text) ?? [];
  if (hint === undefined || code === undefined) return { message: text };
  return { code: readCode(code), message: text.slice(0, -hint.length) };
}
