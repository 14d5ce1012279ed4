import { closeSync, openSync, writeSync } from 'node:fs';
import { isatty } from 'node:tty';

/**
 * Handles the end of the reader of an output, and output that cannot be written.
 *
 * Standard error is for people: output that it does not take is lost, without further effect. A command that prints
 * data ends with its reader, as shells expect (141), and says why it cannot write where that is another reason. A run
 * goes on without a console, since its results are in its folder; only the exit code tells of output that could not be
 * kept.
 */
export function guardConsole(): void {
  letGoOfClosedTerminal();
  process.stderr.on('error', () => {});
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (isReaderGone(error)) {
      if (!goesOn) process.exit(readerGone);
      return;
    }
    if (process.exitCode === undefined)
      process.stderr.write(`pod-dist: cannot write to standard output: ${error.message}\n`);
    if (goesOn) process.exitCode ??= 1;
    else process.exit(1);
  });
}

/**
 * Node gives a terminal its settings back when it exits, and aborts where that fails because the terminal has been
 * closed. It skips a descriptor whose file has changed since the start, so closed terminals are replaced by /dev/null.
 */
function letGoOfClosedTerminal(): void {
  const terminals = [0, 1, 2].filter((file) => isatty(file));
  process.on('exit', () => {
    for (const file of terminals.filter((file) => !isatty(file))) {
      closeSync(file);
      openSync('/dev/null', 'r+');
    }
  });
}

/** Lets this command go on without a console from now on. */
export function goOnWithoutConsole(): void {
  goesOn = true;
}

/** Resolves once everything so far has been written, or cannot be: a full pipe takes the rest as it is read. */
export async function consoleWritten(): Promise<void> {
  await Promise.all([process.stdout, process.stderr].map(written));
  await new Promise((resolve) => setImmediate(resolve));
}

async function written(stream: NodeJS.WriteStream): Promise<void> {
  if (stream.destroyed || stream.writableLength === 0) return;
  await new Promise<void>((resolve) => stream.write('', () => resolve()));
}

/**
 * Writes at once, from any thread: a thread's own `process.stdout` waits for the main thread, which may be blocked. What
 * cannot be written is lost.
 */
export function writeNow(file: 1 | 2, text: string): void {
  const bytes = Buffer.from(text);
  for (let done = 0, tries = 0; done < bytes.length && tries < mostTries; tries++) {
    try {
      done += writeSync(file, bytes, done);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
      Atomics.wait(pause, 0, 0, pauseMs);
    }
  }
}

let goesOn = false;

/** Exit code that a shell gives to a command ended by SIGPIPE. */
const readerGone = 141;

/** Milliseconds between tries to write to a full pipe. */
const pauseMs = 20;
const mostTries = 50;
const pause = new Int32Array(new SharedArrayBuffer(4));

/** Whether the reader of a pipe, a terminal or a connection is gone. */
function isReaderGone({ code }: NodeJS.ErrnoException): boolean {
  return code === 'EPIPE' || code === 'EIO' || code === 'ECONNRESET';
}
