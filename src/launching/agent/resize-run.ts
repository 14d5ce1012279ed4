import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { PodDistError, UserError } from '../../util/errors.js';
import { feedEvent, readLine, type FeedOrder } from './feed-messages.js';
import { agentOf } from './follow-run.js';

const answerWithinMs = 10_000;

/**
 * Lets a run that is under way go on with another number of workers.
 *
 * @throws UserError as `agentOf`; `CONFIG_INVALID` for a number that the run cannot have
 */
export async function resizeRun(folder: string, workers: number): Promise<void> {
  const { socket: path = '' } = agentOf(folder);
  const socket = connect(path);
  socket.setTimeout(answerWithinMs, () => socket.destroy(new Error('no answer')));
  try {
    await once(socket, 'connect');
    socket.write(`${JSON.stringify({ workers } satisfies FeedOrder)}\n`);
    for await (const line of createInterface({ input: socket })) {
      const event = readLine(feedEvent, line);
      if (!event || !('resized' in event) || event.resized !== workers) continue;
      if (event.refusal === undefined) return;
      throw new UserError('CONFIG_INVALID', `${folder} cannot have ${workers} workers: ${event.refusal}`);
    }
  } catch (error) {
    if (error instanceof PodDistError) throw error;
  } finally {
    socket.destroy();
  }
  throw new PodDistError('COORDINATOR_LOST', `${folder}: the process that runs the job has not answered`);
}
