import { fork, type ChildProcess } from 'node:child_process';
import { closeSync } from 'node:fs';
import type { Coordinator } from '../coordinator/coordinator.js';
import { reasonOf } from '../../checkpoint/files.js';
import { messageOf } from '../../util/errors.js';
import { openLog } from '../../util/regular-file.js';
import { isRunning, signalProcess, type ProcessIdentity } from '../../util/processes.js';

/** One worker process to start. */
export interface WorkerSpec {
  /** Number of the process in its job: its first rank, where it has one from the start. */
  worker: number;
  /** Script and arguments. */
  script: string;
  args: readonly string[];
  environment: NodeJS.ProcessEnv;
  /** File of the worker's output. */
  logFile: string;
  /** Called where its output cannot be written, with the reason; default: it is not started then. */
  onUnlogged?(reason: string): void;
  /** Command that starts the worker's own, such as `ip netns exec NAME`; default: none. */
  within?: readonly string[];
}

/** Receiver of reports about the workers' ends. */
type Listener = Pick<Coordinator, 'reportExit' | 'reportEnd' | 'abort'>;

/** Milliseconds that a worker may take to end after SIGTERM. */
const terminateWithinMs = 3000;

/**
 * Keeps large freed blocks inside the process instead of returning them to the system page by page, which costs more
 * than the messages themselves when hundreds of megabytes pass a second.
 */
const allocatorSettings =
  'glibc.malloc.mmap_threshold=1073741824:glibc.malloc.trim_threshold=8589934592:glibc.malloc.top_pad=67108864';

/** Environment of every worker process. */
export const workerEnvironment = { GLIBC_TUNABLES: allocatorSettings };

/** Node's flags of every worker process. */
export function workerFlags(): string[] {
  const flags = process.versions.node.startsWith('20.') ? ['--harmony-rab-gsab-transfer'] : [];
  // SIGUSR1 would open Node's debugger until the worker follows it.
  if (process.allowedNodeEnvironmentFlags.has('--disable-sigusr1')) flags.push('--disable-sigusr1');
  return flags;
}

/** Milliseconds between two looks at a worker that another process has started. */
const lookEveryMs = 100;

/** A worker process, started by this one or by another. */
interface Owned {
  kill(signal: NodeJS.Signals): unknown;
  /** Follows it no longer. */
  leave(): void;
}

/** Owns the worker processes of a job: starts them, notices their ends, and leaves none behind. */
export class Supervisor {
  private readonly children = new Map<number, Owned>();
  private readonly exits: Promise<void>[] = [];
  private stopping = false;

  constructor(private readonly coordinator: Listener) {}

  /**
   * Starts a worker; the process stays this supervisor's to end. Where the system starts none it aborts the
   * job with the system's reason, and returns nothing; it starts none once it ends those that there are.
   */
  start(spec: WorkerSpec): ChildProcess | undefined {
    if (this.stopping) return undefined;
    try {
      const child = startProcess(spec);
      child.on('error', (error) => {
        if (child.pid === undefined) this.failToStart(spec, error);
      });
      if (child.pid === undefined) return undefined;
      this.follow(spec.worker, child);
      return child;
    } catch (error) {
      this.failToStart(spec, error);
      return undefined;
    }
  }

  /** Owns a worker of this host from now on whose own supervisor has ended. */
  adopt(worker: number, one: ProcessIdentity): void {
    const end = new Promise<void>((resolve) => {
      const kill = (signal: NodeJS.Signals) => signalProcess(one, signal);
      this.children.set(worker, { kill, leave: () => clearInterval(timer) });
      const timer = setInterval(() => {
        if (isRunning(one)) return;
        clearInterval(timer);
        this.children.delete(worker);
        resolve();
        this.coordinator.reportEnd(worker);
      }, lookEveryMs);
    });
    this.exits.push(end);
  }

  /** Resolves when every worker has ended. */
  async ended(): Promise<void> {
    await Promise.all(this.exits);
  }

  /** Ends what still runs: SIGTERM (and SIGCONT for stopped ones), after three seconds SIGKILL. */
  async stop(): Promise<void> {
    this.stopping = true;
    this.signal('SIGTERM');
    if (process.platform !== 'win32') this.signal('SIGCONT');
    const timer = setTimeout(() => this.signal('SIGKILL'), terminateWithinMs);
    await this.ended();
    clearTimeout(timer);
  }

  /** Leaves the workers to another process. */
  leave(): void {
    for (const child of this.children.values()) child.leave();
    this.children.clear();
  }

  /** Whether a worker runs. */
  has(worker: number): boolean {
    return this.children.has(worker);
  }

  /** Kills a worker, also one that is stopped. */
  kill(worker: number): void {
    this.children.get(worker)?.kill('SIGKILL');
  }

  /** Stops all workers, or lets them go on. */
  pause(paused: boolean): void {
    this.signal(paused ? 'SIGSTOP' : 'SIGCONT');
  }

  private follow(worker: number, child: ChildProcess): void {
    const leave = () => {
      child.removeAllListeners('exit');
      child.unref();
      child.channel?.unref();
    };
    this.children.set(worker, { kill: (signal) => child.kill(signal), leave });
    this.exits.push(
      new Promise((resolve) => {
        child.once('exit', (code, signal) => {
          this.children.delete(worker);
          resolve();
          this.coordinator.reportExit(worker, code, signal);
        });
      }),
    );
  }

  private failToStart({ worker }: WorkerSpec, error: unknown): void {
    this.coordinator.abort('START_FAILED', `rank ${worker} could not be started: ${describeStart(error)}`);
  }

  private signal(signal: NodeJS.Signals): void {
    for (const child of this.children.values()) child.kill(signal);
  }
}

function startProcess(spec: WorkerSpec): ChildProcess {
  const { script, args, environment, within = [] } = spec;
  const log = logOf(spec);
  try {
    const [command, ...before] = [...within, process.execPath];
    return fork(script, [...args], {
      execPath: command,
      env: { ...process.env, ...workerEnvironment, ...environment },
      stdio: ['ignore', log, log, 'ipc'],
      execArgv: [...before, ...workerFlags()],
    });
  } finally {
    if (log !== 'ignore') closeSync(log);
  }
}

function logOf({ logFile, onUnlogged }: WorkerSpec): number | 'ignore' {
  try {
    return openLog(logFile);
  } catch (error) {
    if (!onUnlogged) throw error;
    onUnlogged(reasonOf(error));
    return 'ignore';
  }
}

/** Advice where the system starts no process, by error code. */
const advice: Readonly<Record<string, string>> = {
  EAGAIN:
    'no more processes are allowed: raise the limit (ulimit -u, or that of the container), or start fewer workers',
  EMFILE: 'too many files are open: raise the limit (ulimit -n), or start fewer workers',
  ENFILE: 'too many files are open on this host: close some, or raise fs.file-max',
  ENOSPC: 'no space is left for its log: make room',
  ENOENT: 'there is no such program',
  ENOMEM: 'no memory is left: start fewer workers, or free some',
  E2BIG: 'the environment and arguments are too long: unset long variables',
};

/** Describes an error of the system in one line: its name, the call, the advice. */
function describeStart(error: unknown): string {
  const { code = '', syscall } = error as NodeJS.ErrnoException;
  const help = Object.hasOwn(advice, code) ? advice[code] : undefined;
  return help === undefined ? messageOf(error) : `${code}${syscall ? ` (${syscall})` : ''}: ${help}`;
}
