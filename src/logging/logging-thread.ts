import { setTimeout as delay } from 'node:timers/promises';
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { endOf, type JobEnd } from '../record/job-end.js';
import { messageOf } from '../util/errors.js';
import { giveWay } from '../util/give-way.js';
import { Follower } from './follower.js';
import type { LoggedRun } from './sink.js';
import { sinks, sinksOf } from './sinks.js';

/** What the thread tells. */
export type LoggingNews =
  | { kind: 'open' }
  | { kind: 'failed'; ended: JobEnd }
  | { kind: 'line'; line: string }
  | { kind: 'missed'; line: string }
  | { kind: 'closed' };

/** Orders to the thread: to hand over the rest and end, or to end at once. */
export type LoggingOrder = { kind: 'close'; ended?: JobEnd; withinMs: number } | { kind: 'leave' };

const betweenMs = 1000;

giveWay();
const port = parentPort as MessagePort;
const run = workerData as LoggedRun;
const tell = (news: LoggingNews) => port.postMessage(news);
const order = new Promise<LoggingOrder>((resolve) => void port.once('message', resolve));

async function follow(): Promise<void> {
  const say = (line: string) => tell({ kind: 'line', line });
  const followers = await Promise.all(
    sinksOf(run.config).map(async (name) => new Follower(name, await sinks[name](), run, say)),
  );
  await Promise.all(followers.map((follower) => follower.open()));
  tell({ kind: 'open' });
  let ordered = false;
  const following = followers.map(async (follower) => {
    while (!ordered) {
      await follower.follow();
      await Promise.race([order, delay(betweenMs)]);
    }
  });
  const given = await order;
  ordered = true;
  if (given.kind === 'leave') return;
  const { ended, withinMs } = given;
  await Promise.all(
    followers.map(async (follower, index) => {
      await following[index];
      const line = await follower.close(ended, withinMs);
      if (line !== undefined && follower.name === 'copies') tell({ kind: 'missed', line });
    }),
  );
}

follow().then(
  () => {
    tell({ kind: 'closed' });
    setImmediate(() => process.exit(0));
  },
  (error: unknown) => {
    tell({ kind: 'failed', ended: { ...endOf(error), message: messageOf(error) } });
    port.close();
  },
);
