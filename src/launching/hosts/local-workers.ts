import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { launchVariables } from '../../job/join/environment.js';
import { workerEnvironment, workerFlags } from '../../job/launch/supervisor.js';
import { messageOf } from '../../util/errors.js';
import type { HostWorkers, WorkerEnd } from './messages.js';

/** Receives each line that a worker writes to standard output (1) or standard error (2). */
type Output = (rank: number, file: 1 | 2, text: string) => void;

/** Milliseconds in which the other workers end by themselves after one has failed, and after SIGTERM. */
const othersEndMs = 10_000;
const terminateMs = 3000;

/** Exit codes of workers that end together with all others: done, or ended in order. */
const endsInOrder = new Set([0, 74, 75]);

/** Variables of programs that have started this process, which would tell its workers another place. */
const foreign = /^(?:TORCHELASTIC_|OMPI_|PMI_|PMIX_|SLURM_(?:PROCID|LOCALID|NTASKS)$|GROUP_|ROLE_)/;

/**
 * The workers of one host, of a job whose rank 0 runs the coordinator: a process each, in a session of its own, which gets
 * signals only from here and ends with this process.
 */
export class LocalWorkers {
  private readonly children = new Map<number, ChildProcess>();
  private readonly ends: Promise<WorkerEnd>[] = [];
  private ending = false;

  constructor(
    private readonly workers: HostWorkers,
    private readonly output: Output,
  ) {
    for (let local = 0; local < workers.count; local++) this.start(local);
  }

  /** Resolves with the end of every worker, in the order in which they have ended. */
  async ended(): Promise<WorkerEnd[]> {
    const order: WorkerEnd[] = [];
    await Promise.all(this.ends.map(async (end) => void order.push(await end)));
    return order;
  }

  signal(name: NodeJS.Signals): void {
    for (const child of this.children.values()) child.kill(name);
  }

  /** Ends the workers whose launcher is gone: an elastic job goes on without them, any other one ends. */
  async leave(): Promise<void> {
    this.signal('SIGCONT');
    this.signal(this.workers.elastic ? 'SIGKILL' : 'SIGINT');
    await Promise.race([this.ended(), delay(terminateMs, undefined, { ref: false })]);
    this.signal('SIGKILL');
    await this.ended();
  }

  private start(local: number): void {
    const { first, count, worldSize, host, port, token, args, variables } = this.workers;
    const rank = first + local;
    const own = Object.entries(process.env).filter(([name]) => !foreign.test(name));
    const env = {
      ...{ ...Object.fromEntries(own), ...variables, ...workerEnvironment },
      RANK: String(rank),
      WORLD_SIZE: String(worldSize),
      LOCAL_RANK: String(local),
      LOCAL_WORLD_SIZE: String(count),
      MASTER_ADDR: host,
      MASTER_PORT: String(port),
      [launchVariables.hosted]: '1',
      ...(token !== undefined && { [launchVariables.token]: token }),
    };
    const script = fileURLToPath(new URL('../../../launcher/cli.js', import.meta.url));
    const stdio = ['ignore', 'pipe', 'pipe', 'ipc'] as const;
    const child = fork(script, ['worker', ...args], {
      env,
      stdio: [...stdio],
      execArgv: workerFlags(),
      detached: true,
    });
    this.children.set(rank, child);
    this.ends.push(this.follow(rank, child));
  }

  private async follow(rank: number, child: ChildProcess): Promise<WorkerEnd> {
    let last = '';
    const pass = (file: 1 | 2, stream: Readable | null) => {
      if (stream)
        createInterface({ input: stream, crlfDelay: Infinity }).on('line', (line) => {
          if (file === 2 && line.trim() !== '') last = line;
          this.output(rank, file, line);
        });
    };
    pass(1, child.stdout);
    pass(2, child.stderr);
    child.on('error', (error) => (last = `could not be started: ${messageOf(error)}`));
    const [code, signal] = (await Promise.race([
      once(child, 'close'),
      once(child, 'error').then(() => [1, null]),
    ])) as [number | null, NodeJS.Signals | null];
    this.children.delete(rank);
    if (!endsInOrder.has(code ?? -1) && !(this.workers.elastic && signal !== null)) this.endOthers();
    return { rank, code, signal, last };
  }

  /** Ends the workers that do not end by themselves once one has failed. */
  private endOthers(): void {
    if (this.ending) return;
    this.ending = true;
    const later = (ms: number, work: () => void) => void setTimeout(work, ms).unref();
    later(othersEndMs, () => this.signal('SIGINT'));
    later(othersEndMs + terminateMs, () => this.signal('SIGKILL'));
  }
}
