import { fork, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import type { Coordinator } from '../coordinator/coordinator.js';
import { messageOf } from '../../util/errors.js';

/** One worker process to start. */
export interface WorkerSpec {
  rank: number;
  /** Script and arguments. */
  script: string;
  args: readonly string[];
  environment: NodeJS.ProcessEnv;
  /** Takes the worker's output. */
  logFile: string;
  /** Command that starts another one, such as `ip netns exec NAME`; default: none. */
  within?: readonly string[];
}

/** Whom it tells of the workers' ends. */
type Listener = Pick<Coordinator, 'reportExit' | 'abort'>;

/** How long a worker may take to end after SIGTERM. */
const terminateWithinMs = 3000;

/**
 * Keeps large freed blocks inside the process instead of returning them to the system page by page, which costs more
 * than the messages themselves when hundreds of megabytes pass a second.
 */
const allocatorSettings =
  'glibc.malloc.mmap_threshold=1073741824:glibc.malloc.trim_threshold=8589934592:glibc.malloc.top_pad=67108864';

/** Owns the worker processes of a job: starts them, hears their ends, and leaves none behind. */
export class Supervisor {
  private readonly children = new Map<number, ChildProcess>();
  private readonly exits: Promise<void>[] = [];

  constructor(private readonly coordinator: Listener) {}

  /** Starts a worker; the process stays this supervisor's to end. */
  start(spec: WorkerSpec): ChildProcess {
    const log = openSync(spec.logFile, 'a');
    const [command, ...before] = [...(spec.within ?? []), process.execPath];
    const flags = ['--harmony-rab-gsab-transfer'].filter(() => process.versions.node.startsWith('20.'));
    const child = fork(spec.script, [...spec.args], {
      execPath: command,
      env: { ...process.env, GLIBC_TUNABLES: allocatorSettings, ...spec.environment },
      stdio: ['ignore', log, log, 'ipc'],
      execArgv: [...before, ...flags],
    });
    closeSync(log);
    this.children.set(spec.rank, child);
    this.exits.push(
      new Promise((resolve) => {
        child.once('error', (error) => {
          resolve();
          if (child.pid !== undefined) return;
          const cause = `rank ${spec.rank} could not be started: ${messageOf(error)}`;
          this.coordinator.abort('START_FAILED', cause);
        });
        child.once('exit', (code, signal) => {
          this.children.delete(spec.rank);
          resolve();
          this.coordinator.reportExit(spec.rank, code, signal);
        });
      }),
    );
    return child;
  }

  /** Resolves when every worker has ended. */
  async ended(): Promise<void> {
    await Promise.all(this.exits);
  }

  /** Ends what still runs: SIGTERM (and SIGCONT for stopped ones), after three seconds SIGKILL. */
  async stop(): Promise<void> {
    this.signal('SIGTERM');
    if (process.platform !== 'win32') this.signal('SIGCONT');
    const timer = setTimeout(() => this.signal('SIGKILL'), terminateWithinMs);
    await this.ended();
    clearTimeout(timer);
  }

  /** Stops all workers, or lets them go on. */
  pause(paused: boolean): void {
    this.signal(paused ? 'SIGSTOP' : 'SIGCONT');
  }

  private signal(signal: NodeJS.Signals): void {
    for (const child of this.children.values()) child.kill(signal);
  }
}
