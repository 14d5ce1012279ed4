import { printableLines } from '../util/printable.js';

type Write = NodeJS.WriteStream['write'];

/** The stream as it is, for what pod-dist itself says to a terminal: progress bars, and going back to a line's start. */
const direct = new Map<NodeJS.WriteStream, NodeJS.WriteStream>();

/**
 * Shows the control characters in whatever this process prints from now on, so that no name, message or file can move the
 * cursor, change colours or forge output: the one edge where all output passes, that of threads and libraries too.
 */
export function guardOutput(): void {
  for (const stream of [process.stdout, process.stderr]) {
    if (direct.has(stream)) continue;
    const write = stream.write.bind(stream) as Write;
    direct.set(stream, Object.create(stream, { write: { value: write } }) as NodeJS.WriteStream);
    const decoder = new TextDecoder();
    stream.write = ((chunk: string | Uint8Array, ...rest: never[]) => {
      const text = typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true });
      if (!below || !stream.isTTY) return write(printableLines(text), ...rest);
      return write(below.under(printableLines(text)), ...rest);
    }) as Write;
  }
}

/** What stays at the end of the terminal, below everything else. */
interface Below {
  /** The text between sequences that erase the view and draw it again below. */
  under(text: string): string;
}

let below: Below | undefined;

/** Keeps a view below whatever is printed, until the function that is returned is called. */
export function keepBelow(view: Below): () => void {
  below = view;
  return () => void (below = undefined);
}

/** Whether a person looks at standard error, on a terminal that obeys escape sequences. */
export function isLive(
  { isTTY }: Pick<NodeJS.WriteStream, 'isTTY'> = process.stderr,
  { CI, TERM }: NodeJS.ProcessEnv = process.env,
): boolean {
  return isTTY && !CI && TERM !== 'dumb';
}

/** Standard error for escape sequences of pod-dist's own. */
export function terminal(): NodeJS.WriteStream {
  return direct.get(process.stderr) ?? process.stderr;
}

/** Sequence that clears the terminal's line. */
export const clearLine = '\r\u001b[K';
