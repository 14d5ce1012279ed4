import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { StoppedError } from '../../src/util/errors.js';
import { untilStopped } from '../../src/util/until-stopped.js';

class Numbers {
  closed = false;

  async *read(): AsyncIterable<number> {
    try {
      for (let number = 0; ; number++) yield number;
    } finally {
      this.closed = true;
    }
  }
}

async function take(batches: AsyncIterable<number>, most: number): Promise<number> {
  let taken = 0;
  for await (const batch of batches) {
    taken = batch + 1;
    if (taken === most) break;
  }
  return taken;
}

describe('untilStopped', () => {
  it('yields every batch if it is not stopped', async () => {
    expect(await take(untilStopped(new Numbers().read(), undefined), 100)).toBe(100);
    expect(await take(untilStopped(new Numbers().read(), new AbortController().signal), 100)).toBe(100);
  });

  it('lets a timer of the same thread stop a loop that never waits, and closes the source', async () => {
    const stop = new AbortController();
    void delay(20).then(() => stop.abort('SIGTERM'));
    const numbers = new Numbers();
    const ended = take(untilStopped(numbers.read(), stop.signal), Infinity);
    await expect(ended).rejects.toMatchObject({ code: 'STOPPED', by: 'SIGTERM' });
    expect(numbers.closed).toBe(true);
  });

  it('reads nothing with an aborted signal, and keeps the reason as the cause', async () => {
    const reason = new Error('enough');
    const numbers = new Numbers();
    const error: unknown = await take(untilStopped(numbers.read(), AbortSignal.abort(reason)), 1).catch(
      (error: unknown) => error,
    );
    expect(error).toBeInstanceOf(StoppedError);
    expect(error).toMatchObject({ by: undefined, cause: reason });
    expect((error as Error).message).toBe('stopped');
  });
});
