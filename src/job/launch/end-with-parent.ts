import type { EndCause } from '../../util/signals.js';

/** Milliseconds that a worker which has joined its job has to end in order, before it is killed. */
const endWithinMs = 1500;

/** Message of a launcher to its workers: they are to end in order. */
export interface EndMessage {
  end: EndCause;
}

/** Aborted, with its cause as the reason, when the process that has forked this one asks for an end in order. */
export function endingByParent(): AbortSignal {
  const ending = new AbortController();
  process.on('message', (message: Partial<EndMessage> | undefined) => {
    if (message?.end !== undefined) ending.abort(message.end);
  });
  process.channel?.unref();
  return ending.signal;
}

/** Kills this process when the one that has forked it ends, even if it has ended already. */
export function endWithParent(): void {
  const end = () => process.kill(process.pid, 'SIGKILL');
  if (process.connected) process.on('disconnect', () => setTimeout(end, endWithinMs));
  else end();
}
