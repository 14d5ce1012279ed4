import { Worker } from 'node:worker_threads';
import { messageOf, PodDistError } from '../util/errors.js';
import type { RunFacts } from './save.js';
import type { WriterAnswer, WriterTask } from './writer-thread.js';

interface Waiter {
  resolve(value: never): void;
  reject(error: Error): void;
}

/** Result of a task of the thread. */
type Done<Task extends WriterTask> = Task extends { kind: 'shard' }
  ? { bytes: number; sha256: string }
  : Task extends { kind: 'finish' }
    ? string
    : undefined;

/** The thread of a process that writes checkpoints. It does not keep the process alive. */
export class CheckpointWriter {
  private readonly thread: Worker;
  private readonly waiters = new Map<number, Waiter>();
  private next = 0;
  private ended: Error | undefined;

  /**
   * @param timeoutMs milliseconds that one task may take
   * @param facts copied here once, and not with every checkpoint
   */
  constructor(
    private readonly timeoutMs: number,
    facts: RunFacts,
  ) {
    this.thread = new Worker(new URL('./writer-thread.js', import.meta.url), { workerData: facts });
    this.thread.unref();
    this.thread.on('message', (answer: WriterAnswer) => {
      const waiter = this.waiters.get(answer.id);
      if ('failed' in answer) waiter?.reject(new PodDistError('RUN_FOLDER_UNWRITABLE', answer.failed));
      else waiter?.resolve(answer.done as never);
    });
    const end = (why: string) => {
      this.ended ??= new PodDistError('RUN_FOLDER_UNWRITABLE', why);
      for (const waiter of this.waiters.values()) waiter.reject(this.ended);
    };
    this.thread.on('error', (error) => end(`the thread that writes it has failed: ${messageOf(error)}`));
    this.thread.on('exit', () => end('the thread that writes it has ended'));
  }

  /** Does a task after those before it. Rejects with the reason in words. */
  async run<Task extends WriterTask>(task: Task): Promise<Done<Task>> {
    if (this.ended) throw this.ended;
    const id = this.next++;
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<Done<Task>>((resolve, reject) => {
        this.waiters.set(id, { resolve, reject });
        const late = () =>
          reject(
            new PodDistError(
              'RUN_FOLDER_UNWRITABLE',
              `the disk has not taken it in ${this.timeoutMs / 1000} s`,
            ),
          );
        timer = setTimeout(late, this.timeoutMs);
        this.thread.postMessage({ id, task }, memoryOf(task));
      });
    } finally {
      clearTimeout(timer);
      this.waiters.delete(id);
    }
  }

  /** Ends the thread; what it has not written is left behind. */
  async close(): Promise<void> {
    await this.thread.terminate();
  }
}

/** Memory that goes to the thread with a task: what is not shared with it. */
function memoryOf(task: WriterTask): ArrayBuffer[] {
  const buffer = task.kind === 'shard' ? task.numbers.buffer : undefined;
  return buffer instanceof ArrayBuffer ? [buffer] : [];
}
