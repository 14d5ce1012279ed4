import { once } from 'node:events';
import type { EndCause, EndRequests, StopSource } from '../../util/signals.js';

/** Milliseconds that a worker which has joined its job has to end in order, before it is killed. */
const endWithinMs = 1500;

/** Kills this process when the one that has forked it ends, even if it has ended already. */
export function endWithParent(): void {
  const end = () => process.kill(process.pid, 'SIGKILL');
  if (process.connected) process.on('disconnect', () => setTimeout(end, endWithinMs));
  else end();
}

/** Message to a worker that outlives the process that has forked it: whoever takes the job over knows of this worker. */
export const ownedMessage = { owned: true } as const;

/**
 * Resolves once this process is owned; kills it where the one that has forked it ends before: nobody knows of it. Where
 * that one ends while this process is still loading, it is killed as well; who takes the job over starts another.
 */
export async function untilOwned(): Promise<void> {
  const end = () => process.kill(process.pid, 'SIGKILL');
  if (!process.connected) end();
  process.once('disconnect', end);
  await once(process, 'message');
  process.off('disconnect', end);
}

/** Message to a worker from the process that keeps its place: it is to end in order, or at once. */
export type EndMessage = { end: EndCause } | { stop: string };

/** Requests to end of the process that has forked this one. */
export function requestsOfParent(): EndRequests {
  const ending = new AbortController();
  const listeners = new Set<(by?: string) => void>();
  process.on('message', (message: Partial<Record<'end' | 'stop', string>>) => {
    if (message.end !== undefined) ending.abort(message.end);
    if (message.stop !== undefined) for (const listener of listeners) listener(message.stop);
  });
  const stopping: StopSource = (listener) => {
    listeners.add(listener);
    return { stop: () => void listeners.delete(listener) };
  };
  return { ending: ending.signal, stopping };
}
