import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DevicePlan } from '../../backend/devices/devices.js';
import type { Config } from '../../config/schema.js';
import type { JobState, StartedWorker } from '../../record/job-state.js';
import { identify } from '../../util/processes.js';
import { launchVariables } from '../join/environment.js';
import { ownedMessage } from './end-with-parent.js';
import type { Supervisor } from './supervisor.js';
import { present } from '../../util/present.js';

interface PlacesOptions {
  config: Config;
  devices: DevicePlan;
  /** Folder of the workers' logs. */
  logDir: string;
  /** Arguments of `launcher/worker-process.ts`. */
  workerArgs: readonly string[];
  /** The job's secret. */
  token: string;
  /** Whether the workers outlive this process, for another one to take over. */
  outlived: boolean;
  /** Called with lines for people. */
  notify?(line: string): void;
  /** Called when a worker has started. */
  onChange?(owned: OwnedWorkers): void;
}

/** Workers of this host that are owned, and the number of the next one. */
export type OwnedWorkers = Pick<JobState, 'workers' | 'nextWorker'>;

/**
 * The places for workers on this host: each has a device, or its share of the cores. A worker that takes the place of one
 * that has ended gets its device.
 */
export class WorkerPlaces {
  private supervisor: Supervisor | undefined;
  private address = '';
  /** Worker in each place, by place. */
  private readonly taken: (StartedWorker | undefined)[] = [];
  private next = 0;

  constructor(private readonly options: PlacesOptions) {}

  /** File of a worker's output. */
  readonly logOf = (worker: number): string => {
    const { config, logDir } = this.options;
    return join(logDir, worker < config.workers ? `rank-${worker}.log` : `worker-${worker}.log`);
  };

  /** Starts the ranks and the spares of a job whose coordinator is at `address`. */
  open(supervisor: Supervisor, address: string): void {
    this.supervisor = supervisor;
    this.address = address;
    const { workers, elastic } = this.options.config;
    for (let rank = 0; rank < workers; rank++) if (this.start(false) === undefined) return;
    for (let spare = 0; spare < (elastic.enabled ? elastic.spares : 0); spare++) this.startSpare();
  }

  /** Owns the workers from now on that another process has started, whose coordinator was at the same address. */
  adopt(supervisor: Supervisor, address: string, { workers, nextWorker }: OwnedWorkers): void {
    this.supervisor = supervisor;
    this.address = address;
    this.next = nextWorker;
    for (const one of workers) {
      this.taken[one.place] = one;
      supervisor.adopt(one.worker, one);
    }
  }

  /** Starts a worker without a rank; returns its number, unless the system starts none. */
  startSpare(): number | undefined {
    return this.start(true);
  }

  /** Kills a worker. */
  end(worker: number): void {
    this.supervisor?.kill(worker);
  }

  private start(spare: boolean): number | undefined {
    const { supervisor, address, options, taken } = this;
    const { config, devices, workerArgs, token, outlived } = options;
    const worker = this.next++;
    const free = taken.findIndex((one) => one === undefined || !supervisor?.has(one.worker));
    const place = free < 0 ? taken.length : free;
    const worldSize = config.workers;
    const { env, within } = present(devices.perWorker[place % devices.perWorker.length], 'a device');
    const rank = String(place % worldSize);
    const environment = {
      RANK: rank,
      WORLD_SIZE: String(worldSize),
      LOCAL_RANK: rank,
      LOCAL_WORLD_SIZE: String(worldSize),
      [launchVariables.address]: address,
      [launchVariables.token]: token,
      [launchVariables.worker]: String(worker),
      ...(spare && { [launchVariables.spare]: '1' }),
      ...(outlived && { [launchVariables.outlives]: '1' }),
      ...env,
    };
    const script = fileURLToPath(new URL('../../../launcher/worker-process.js', import.meta.url));
    const logFile = this.logOf(worker);
    const onUnlogged = (reason: string) =>
      options.notify?.(`cannot write ${logFile}: ${reason}; the worker is started without it`);
    const spec = { worker, script, args: workerArgs, environment, logFile, within };
    const child = supervisor?.start(spare ? { ...spec, onUnlogged } : spec);
    const pid = child?.pid;
    if (child === undefined || pid === undefined) return undefined;
    taken[place] = { worker, place, ...identify(pid) };
    this.options.onChange?.({ workers: taken.filter((one) => one !== undefined), nextWorker: this.next });
    // A worker that has ended by now is noticed by its exit.
    if (outlived) child.send(ownedMessage, () => {});
    return worker;
  }
}
