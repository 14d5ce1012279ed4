import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { messageOf } from '../util/errors.js';
import type { UiEnd, UiNews } from './ui-thread.js';

/** Time for the last of a run, its wrong images among it, where a page is open. */
const lastMs = 15_000;
const graceMs = 1500;

/** The live page of a run beside the run itself: a thread of this process serves it, so that neither waits for the other. */
export class PageBeside {
  private constructor(
    private readonly thread: Worker,
    private readonly over: Promise<unknown>,
    readonly link: string,
  ) {}

  /** Begins to serve the page; rejects where that cannot be. */
  static async open(folder: string): Promise<PageBeside> {
    const thread = new Worker(new URL('./ui-thread.js', import.meta.url), { workerData: { folder } });
    const over = once(thread, 'exit').catch(() => undefined);
    const news = await Promise.race([
      once(thread, 'message').then(([news]) => news as UiNews),
      over.then((): UiNews => ({ kind: 'failed', message: 'its thread has ended' })),
    ]).catch((error: unknown): UiNews => ({ kind: 'failed', message: messageOf(error) }));
    if (news.kind === 'failed') throw new Error(news.message);
    thread.unref();
    return new PageBeside(thread, over, news.link);
  }

  /** Shows the last of the run, tells the pages why nothing more comes, and ends. */
  async close(reason: string): Promise<void> {
    this.thread.ref();
    this.thread.postMessage({ reason, withinMs: lastMs } satisfies UiEnd);
    const timer = new AbortController();
    const late = delay(lastMs + graceMs, undefined, { signal: timer.signal }).catch(() => undefined);
    await Promise.race([this.over, late]);
    timer.abort();
    await this.thread.terminate();
  }
}
