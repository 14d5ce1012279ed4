import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ChildProcess } from 'node:child_process';
import { bindingCommands } from '../backend/devices/core-binding.js';
import { launchVariables } from '../job/join/environment.js';
import { Supervisor } from '../job/launch/supervisor.js';
import { describeFailure } from '../job/coordinator/failure.js';
import { Coordinator } from '../job/coordinator/coordinator.js';
import { PodDistError } from '../util/errors.js';
import type { TracePart } from '../trace/trace-file.js';
import type { Shaping } from './link.js';
import type { RankOptions } from './rank.js';
import type { Task, TaskResults } from './tasks/index.js';

export interface BenchJobOptions extends Omit<RankOptions, 'trace'> {
  workers: number;
  transport: 'ipc' | 'tcp';
  /** Puts every rank into a network namespace behind a shaped link. */
  link?: Shaping;
  /** Variables of the ranks' processes, over those of this one. */
  environment?: Readonly<Record<string, string>>;
  /** Called with the ranks' spans; default: they record none. */
  onTrace?(part: TracePart): void;
}

const answerWithinMs = 600_000;

/**
 * Worker processes of a benchmark, joined through a coordinator as those of a training job are: communication thread,
 * arena and allocator settings included, and each held to its share of the cores. Between tasks they wait without using
 * one.
 */
export class BenchmarkJob {
  private readonly children: ChildProcess[] = [];

  private constructor(
    private readonly coordinator: Coordinator,
    private readonly supervisor: Supervisor,
    private readonly logs: string,
  ) {}

  static async start(options: BenchJobOptions): Promise<BenchmarkJob> {
    const { workers, transport, link, environment, onTrace, settings } = options;
    const host = link?.launcherAddress ?? '127.0.0.1';
    const token = randomBytes(16).toString('hex');
    const coordinator = await Coordinator.start({
      host,
      port: 0,
      worldSize: workers,
      token,
      transport,
      joinTimeoutMs: 120_000,
      stallTimeoutMs: 120_000,
      combine: (_name, parts) => parts,
      onTrace,
    });
    const supervisor = new Supervisor(coordinator);
    const logs = mkdtempSync(join(tmpdir(), 'pod-dist-bench-'));
    const job = new BenchmarkJob(coordinator, supervisor, logs);
    const binding = bindingCommands(workers) ?? [];
    const about: RankOptions = { settings, trace: onTrace !== undefined };
    for (let rank = 0; rank < workers; rank++) {
      const child = supervisor.start({
        worker: rank,
        script: fileURLToPath(new URL('./rank.js', import.meta.url)),
        args: [JSON.stringify({ ...about, host: link?.addresses[rank] ?? host })],
        environment: {
          ...environment,
          RANK: String(rank),
          WORLD_SIZE: String(workers),
          LOCAL_RANK: String(rank),
          [launchVariables.address]: `tcp://${host}:${coordinator.port}`,
          [launchVariables.token]: token,
        },
        logFile: join(logs, `rank-${rank}.log`),
        within: [...(link?.commands[rank] ?? []), ...(binding[rank] ?? [])],
      });
      if (!child) {
        const failure = job.failure(describeFailure(await coordinator.failure));
        await job.stop({ keepLogs: true });
        throw failure;
      }
      job.children.push(child);
    }
    await job.answers().catch(async (error: unknown) => {
      await job.stop({ keepLogs: true });
      throw error;
    });
    return job;
  }

  /** Runs a task on every rank at the same time; resolves with every rank's result, by rank. */
  run<T extends Task>(task: T): Promise<TaskResults[T['name']][]> {
    const answers = this.answers();
    for (const child of this.children) child.send(task);
    return answers as Promise<TaskResults[T['name']][]>;
  }

  async stop({ keepLogs = false } = {}): Promise<void> {
    await this.supervisor.stop();
    await this.coordinator.stop();
    if (!keepLogs) rmSync(this.logs, { recursive: true, force: true });
  }

  /** One answer of every rank; rejects where a rank fails or is late. */
  private async answers(): Promise<unknown[]> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(this.failure('no answer in time')), answerWithinMs);
    });
    const failed = this.coordinator.failure.then((failure) => {
      throw this.failure(describeFailure(failure));
    });
    const each = this.children.map((child) => new Promise((resolve) => child.once('message', resolve)));
    try {
      return await Promise.race([Promise.all(each), failed, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  private failure(cause: string): PodDistError {
    return new PodDistError('BENCHMARK_FAILED', `${cause}; logs: ${this.logs}`);
  }
}
