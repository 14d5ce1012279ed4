import { closeSync, openSync, writeSync } from 'node:fs';
import { isatty } from 'node:tty';

/**
 * What happens where nobody reads any more, or nothing more can be written.
 *
 * Standard error is for people: what it does not take is lost, and nothing else. A command that prints data ends with
 * its reader, as shells expect (141), and says why it cannot write where that is another reason. A run goes on without
 * a console, since its results are in its folder; only the exit code tells of output that could not be kept.
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
 * closed. It leaves alone what is no longer the file that it was at the start.
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

/** From now on this command goes on without a console. */
export function goOnWithoutConsole(): void {
  goesOn = true;
}

/** Resolves once it is known whether everything so far could be written. */
export async function consoleWritten(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
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

/** What a shell gives for a command that SIGPIPE has ended. */
const readerGone = 141;

/** A pipe that is full is given this long. */
const pauseMs = 20;
const mostTries = 50;
const pause = new Int32Array(new SharedArrayBuffer(4));

/** Of a pipe, a terminal, a connection. */
function isReaderGone({ code }: NodeJS.ErrnoException): boolean {
  return code === 'EPIPE' || code === 'EIO' || code === 'ECONNRESET';
}
