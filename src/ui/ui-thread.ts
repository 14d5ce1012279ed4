import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { messageOf } from '../util/errors.js';
import { giveWay } from '../util/give-way.js';
import { RunServer } from './server.js';

/** What the thread tells. */
export type UiNews = { kind: 'open'; link: string } | { kind: 'failed'; message: string };

/** The order to end, and what pages are told. */
export interface UiEnd {
  reason: string;
  /** Milliseconds that the last look at the run may take. */
  withinMs: number;
}

giveWay();
const port = parentPort as MessagePort;
const { folder } = workerData as { folder: string };
const tell = (news: UiNews) => port.postMessage(news);

async function serve(): Promise<void> {
  const server = await RunServer.open([folder], 0);
  tell({ kind: 'open', link: server.link });
  const { reason, withinMs } = await new Promise<UiEnd>((resolve) => void port.once('message', resolve));
  await server.close(reason, withinMs);
}

serve()
  .catch((error: unknown) => tell({ kind: 'failed', message: messageOf(error) }))
  .finally(() => setImmediate(() => process.exit(0)));
