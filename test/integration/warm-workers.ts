import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { freePort } from './free-port.js';
import type { WorkRequest } from '../../src/launching/work.js';
import type { WarmAnswer, WarmTask } from './fixtures/warm-worker.js';

const script = fileURLToPath(new URL('../../dist/test/integration/fixtures/warm-worker.js', import.meta.url));

/** Run folder of a training, and whether it goes on. */
export type TrainedRun = Pick<WorkRequest, 'out' | 'resume'>;

/**
 * Worker processes that stay for the next job, so that a job costs what it computes. Each job is a real one: a coordinator
 * in the process of rank 0, sockets, run folder.
 */
export class WarmWorkers {
  private readonly processes: ChildProcess[] = [];

  /** `environment`: over this process's own. */
  constructor(
    private readonly folder: string,
    private readonly environment: NodeJS.ProcessEnv,
  ) {}

  /** Trains with so many workers into a run folder, under settings such as `batchSize=96`. */
  async train(workers: number, settings: readonly string[], { out, resume }: TrainedRun): Promise<void> {
    const set = [...settings, `workers=${workers}`];
    const port = await freePort();
    const answers = await Promise.all(
      Array.from({ length: workers }, (_, rank) => {
        const environment =
          workers === 1
            ? undefined
            : {
                ...{ RANK: String(rank), WORLD_SIZE: String(workers) },
                ...{ LOCAL_RANK: String(rank), LOCAL_WORLD_SIZE: String(workers) },
                ...{ MASTER_ADDR: '127.0.0.1', MASTER_PORT: String(port) },
              };
        return this.run(rank, { environment, request: { set, out, resume, args: [] } });
      }),
    );
    const errors = answers.flatMap(({ error }, rank) =>
      error === undefined ? [] : [`rank ${rank}: ${error}`],
    );
    if (errors.length > 0) throw new Error(errors.join('\n'));
  }

  async close(): Promise<void> {
    await Promise.all(
      this.processes.splice(0).map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        child.kill('SIGKILL');
        await once(child, 'exit');
      }),
    );
  }

  private async run(rank: number, task: WarmTask): Promise<WarmAnswer> {
    const child = (this.processes[rank] ??= fork(script, {
      cwd: this.folder,
      env: { ...process.env, ...this.environment, POD_DIST_TOKEN: 'a secret of this test alone' },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    }));
    const done = new AbortController();
    const { signal } = done;
    try {
      const ended = once(child, 'exit', { signal }).then(([code, by]) => ({ error: `ended: ${code ?? by}` }));
      const answered = once(child, 'message', { signal }).then(([answer]) => answer as WarmAnswer);
      child.send(task);
      return await Promise.race([answered, ended]);
    } finally {
      done.abort();
    }
  }
}
