import { Worker } from 'node:worker_threads';

/**
 * Threads that hold ZeroMQ sockets, and how a process with such a thread ends.
 *
 * A thread that is torn down while it has sockets aborts the whole process: zeromq.js then rejects what is pending in an
 * environment that can run no JavaScript any more. Node tears threads down wherever the process exits, be it by
 * `process.exit` or by an error that nobody has caught. So whoever has started such a thread waits, as the last thing
 * before the exit, until the thread has closed its sockets. Where it does not, the process kills itself: it must not
 * stay, and all that it had to say has been said.
 *
 * The two share one word: no sockets yet, sockets open, none any more (and none to come).
 */
const none = 0;
const open = 1;
const closed = 2;

/** How long a thread may take to close its sockets when the process exits. */
const closeWithinMs = 2000;

/** Part of the thread's `workerData`: the word that both sides share. */
export interface WithSockets {
  sockets: SharedArrayBuffer;
}

interface Owned {
  thread: Worker;
  word: Int32Array;
  closeMessage: unknown;
}

const running = new Set<Owned>();

/** Starts a thread that closes its sockets, and ends, at `closeMessage`. */
export function startSocketThread(script: URL, data: object, closeMessage: unknown): Worker {
  const sockets = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  const thread = new Worker(script, { workerData: { ...data, sockets } satisfies WithSockets });
  const owned = { thread, word: new Int32Array(sockets), closeMessage };
  if (running.size === 0) process.on('exit', closeAll);
  running.add(owned);
  thread.once('exit', () => {
    running.delete(owned);
    if (running.size === 0) process.off('exit', closeAll);
  });
  return thread;
}

/** Called in the thread before it opens its first socket. It does not return if the process is about to exit. */
export function socketsBegin({ sockets }: WithSockets): void {
  const word = new Int32Array(sockets);
  if (Atomics.compareExchange(word, 0, none, open) === closed) Atomics.wait(word, 0, closed);
}

/** Called in the thread after it has closed its last socket. */
export function socketsEnd({ sockets }: WithSockets): void {
  const word = new Int32Array(sockets);
  Atomics.store(word, 0, closed);
  Atomics.notify(word, 0);
}

function closeAll(): void {
  const waitedFor = [...running].filter(
    ({ word }) => Atomics.compareExchange(word, 0, none, closed) === open,
  );
  for (const { thread, closeMessage } of waitedFor) thread.postMessage(closeMessage);
  const end = performance.now() + closeWithinMs;
  for (const { word } of waitedFor) {
    const left = Math.max(end - performance.now(), 0);
    if (Atomics.wait(word, 0, open, left) === 'timed-out') process.kill(process.pid, 'SIGKILL');
  }
}
