import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { Status, statusBytes } from '../../../src/job/member/status.js';

describe('Status', () => {
  it('counts progress and keeps the last phase', () => {
    const status = new Status(new SharedArrayBuffer(statusBytes));
    expect([status.progress, status.phase, status.isWaiting]).toEqual([0, '', false]);
    status.move('a rather long phase');
    status.move('shorter');
    expect([status.progress, status.phase]).toEqual([2, 'shorter']);
  });

  it('is waiting until all its waits have ended, and progresses with the end of each', async () => {
    const status = new Status(new SharedArrayBuffer(statusBytes));
    let finish!: (value: number) => void;
    const long = status.waiting(new Promise<number>((resolve) => (finish = resolve)));
    await expect(status.waiting(Promise.reject(new Error('x')))).rejects.toThrow('x');
    expect([status.isWaiting, status.progress]).toEqual([true, 1]);
    finish(7);
    await expect(long).resolves.toBe(7);
    expect([status.isWaiting, status.progress]).toEqual([false, 2]);
  });

  it('cuts off a phase that is too long', () => {
    const status = new Status(new SharedArrayBuffer(statusBytes));
    status.move('x'.repeat(1000));
    expect(status.phase.length).toBeLessThan(300);
    expect(status.phase).toMatch(/^x+$/);
  });

  it('can be read by another thread while this thread is busy', async () => {
    const buffer = new SharedArrayBuffer(statusBytes);
    const module = fileURLToPath(new URL('../../../dist/src/job/member/status.js', import.meta.url));
    const thread = new Worker(
      `import(${JSON.stringify(module)}).then(({ Status }) => {
        const { parentPort, workerData } = require('node:worker_threads');
        const status = new Status(workerData);
        while (status.progress < 3) Atomics.wait(new Int32Array(workerData), 1, 0, 1);
        parentPort.postMessage(status.phase);
      });`,
      { eval: true, workerData: buffer },
    );
    const status = new Status(buffer);
    for (const phase of ['one', 'two', 'three']) status.move(phase);
    const [phase] = (await once(thread, 'message')) as [string];
    expect(phase).toBe('three');
  });
});
