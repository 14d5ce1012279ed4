import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { freePort } from './free-port.js';
import { WarmProcesses } from './warm-processes.js';
import type { WorkRequest } from '../../src/launching/work.js';
import type { WarmAnswer, WarmTask } from './fixtures/warm-worker.js';

const script = fileURLToPath(new URL('../../dist/test/integration/fixtures/warm-worker.js', import.meta.url));

/** Run folder of a training, and whether it resumes. */
export type TrainedRun = Pick<WorkRequest, 'out' | 'resume'>;

const processes = new WarmProcesses(4, () =>
  fork(script, {
    env: { ...process.env, POD_DIST_TOKEN: 'a secret of these tests alone' },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  }),
);

/**
 * Worker processes that stay for later jobs of this and other tests, which saves starts of Node.js. Each job is complete:
 * a coordinator in the process of rank 0, sockets, run folder.
 */
export class WarmWorkers {
  private readonly ranks: ChildProcess[] = [];
  /** Whether the processes may keep effects of a job, so that other tests must not use them. */
  private spoilt = false;

  /** `variables` are set in the processes during a job. */
  constructor(
    private readonly folder: string,
    private readonly variables: Record<string, string>,
  ) {}

  /** Trains with `workers` workers into a run folder, with settings such as `batchSize=96`. */
  async train(workers: number, settings: readonly string[], { out, resume }: TrainedRun): Promise<void> {
    const set = [...settings, `workers=${workers}`];
    const port = await freePort();
    const wasSpoilt = this.spoilt || settings.some((setting) => setting.startsWith('plugins='));
    this.spoilt = true;
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
        return this.run(rank, environment, { set, out, resume, args: [] });
      }),
    );
    const errors = answers.flatMap(({ error }, rank) =>
      error === undefined ? [] : [`rank ${rank}: ${error}`],
    );
    if (errors.length > 0) throw new Error(errors.join('\n'));
    this.spoilt = wasSpoilt;
  }

  async close(): Promise<void> {
    await processes.giveBack(this.ranks.splice(0), this.spoilt);
  }

  private async run(
    rank: number,
    environment: WarmTask['environment'],
    request: WorkRequest,
  ): Promise<WarmAnswer> {
    const child = (this.ranks[rank] ??= processes.take());
    const { folder, variables } = this;
    const done = new AbortController();
    const { signal } = done;
    try {
      const ended = once(child, 'exit', { signal }).then(([code, by]) => ({ error: `ended: ${code ?? by}` }));
      const answered = once(child, 'message', { signal }).then(([answer]) => answer as WarmAnswer);
      child.send({ folder, variables, environment, request } satisfies WarmTask);
      return await Promise.race([answered, ended]);
    } finally {
      done.abort();
    }
  }
}
