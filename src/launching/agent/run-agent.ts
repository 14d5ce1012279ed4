import { closeSync, rmSync, writeSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { devicesOf } from '../../backend/backends.js';
import { loadConfig } from '../../config/load.js';
import { importPlugins } from '../../config/plugins.js';
import type { Config } from '../../config/schema.js';
import { describeIncident, type Incident } from '../../job/coordinator/reform.js';
import type { AgentStart } from '../../job/launch/agent-process.js';
import { runJob, type Outlived } from '../../job/launch/job.js';
import { withLogging } from '../../logging/run-logging.js';
import { RunCombiner } from '../../record/combine.js';
import { endOf } from '../../record/job-end.js';
import { JobStateFile, readJobState, type JobState } from '../../record/job-state.js';
import type { Report } from '../../record/records.js';
import { RunFolder } from '../../record/run-folder.js';
import { RunRecorder } from '../../record/run-record.js';
import { openTrace } from '../../trace/trace-file.js';
import { messageOf, PodDistError, StoppedError, UserError } from '../../util/errors.js';
import { isRunning, processSpace, signalProcess } from '../../util/processes.js';
import { openLog } from '../../util/regular-file.js';
import { endRequests, type EndCause, type StopSource } from '../../util/signals.js';
import { RunFeed } from './feed.js';
import type { FeedOrder } from './feed-messages.js';
import { readJobPlan, workerArgsOf, type JobPlan } from '../../record/job-plan.js';

const deposeWithinMs = 5000;

/**
 * Runs an elastic job on this host in a process that no terminal ends: coordinator, worker processes, record. Whoever has
 * started it follows it as others may (`followRun`). Where this process ends before its time, a worker starts another one,
 * which takes over workers and record: see `docs/elastic.md`.
 *
 * Rejects where there is nothing to do for it, such as `RUN_BUSY` where another process is faster. It takes over no other
 * job than its own: what another one has begun in the folder since, or has ended, it leaves alone.
 */
export async function runAgent(options: AgentStart): Promise<void> {
  const { folder, lostAt, lockFile } = options;
  const before = lostAt === undefined ? undefined : readJobState(folder);
  if (options.depose !== undefined && options.depose !== before?.term) return;
  const elsewhere = before !== undefined && before.agent.machine !== processSpace();
  const plan = readJobPlan(folder);
  const succeeds = options.depose !== undefined;
  // A task of torchrun, Slurm or MPI stays: it finds that it has lost the folder.
  if (succeeds && !elsewhere && !plan.kept) await depose(before?.agent);
  const log = openLog(join(folder, 'logs', 'job.log'));
  const agent = new Agent(plan, (line) => writeLine(log, `${new Date().toISOString()} ${line}\n`));
  const { made } = plan;
  if (options.notBefore !== undefined) await delay(Math.max(0, options.notBefore - Date.now()));
  const hold = await RunFolder.inherit(folder, { lockFile, made, succeeds, say: agent.say });
  const former = lostAt === undefined ? undefined : readJobState(folder);
  const isOver = lostAt !== undefined && (former?.ended !== undefined || former?.secret !== options.token);
  if (isOver) hold.release();
  else await agent.run(hold, options, former);
  closeSync(log);
}

/** Adds a line to a log; on a full disk it is lost, and the job goes on. */
function writeLine(log: number, line: string): void {
  try {
    writeSync(log, line);
  } catch {
    return;
  }
}

/** Ends a process that holds the run folder and says nothing. */
async function depose(agent: JobState['agent'] | undefined): Promise<void> {
  if (!agent) return;
  signalProcess(agent, 'SIGKILL');
  const deadline = performance.now() + deposeWithinMs;
  while (isRunning(agent) && performance.now() < deadline) await delay(20);
}

/** One job, and those who follow it. */
class Agent {
  private feed: RunFeed | undefined;
  private readonly stops = new Set<(by?: string) => void>();
  /** Cause of an order to end at once, kept for a job that has not begun yet, such as one that is being taken over. */
  private stoppedBy: string | undefined;
  private readonly end = new AbortController();
  private resizeJob: ((workers: number) => void) | undefined;

  constructor(
    private readonly plan: JobPlan,
    private readonly log: (line: string) => void,
  ) {}

  /** Tells those who follow a line for people. */
  readonly say = (line: string, incident = false): void => {
    this.log(line);
    this.feed?.publish({ line, incident });
  };

  async run(hold: RunFolder, options: AgentStart, former: JobState | undefined): Promise<void> {
    if (former?.socket !== undefined) rmSync(former.socket, { force: true });
    this.feed = await RunFeed.open((order) => this.obey(order));
    const state = new JobStateFile(hold.path, former);
    const { recorder, recorded } = RunRecorder.goOn(hold.path, this.say, hold.isHeld);
    const { token, host } = options;
    const { taken, lost } = endsOf(hold, token);
    let report: Report | undefined;
    try {
      const config = await readConfig(hold.path);
      const take = (given: Report) => void (report = given);
      const keep = { finished: take, amended: take };
      const combiner = new RunCombiner([recorder, ...(this.feed ? [this.feed.listener] : []), keep], true);
      if (former) combiner.goOn(recorded);
      recorder.job(state, { socket: this.feed?.socket, ended: undefined });
      const lostMs = Date.now() - (options.lostAt ?? Date.now());
      const outlived = { ...{ token, host, taken, folder: resolve(hold.path), kept: this.plan.kept } };
      const from = former && { state: former, lostMs, elsewhere: former.agent.machine !== processSpace() };
      await this.train({
        config,
        hold,
        recorder,
        combiner,
        state,
        outlived: { ...outlived, former: from },
        lost,
      });
      recorder.job(state, { secret: undefined });
      recorder.close();
      hold.release();
      if (report) this.feed?.publish({ report: { ...(report as Report) } });
    } catch (error) {
      const ended = endOf(error);
      recorder.job(state, { ended, secret: undefined });
      recorder.close();
      this.log(ended.message);
      if (error instanceof UserError || error instanceof StoppedError) hold.abandon();
      else hold.release();
      // Where another process has taken the job over, whoever follows it looks for that one.
      if (!taken.aborted) this.feed?.publish({ ended });
    } finally {
      await this.feed?.close();
    }
  }

  private async train(parts: Parts): Promise<void> {
    const { config, hold, recorder, combiner, state, outlived, lost } = parts;
    const { resumed } = this.plan;
    const planned = outlived.former?.elsewhere ? undefined : this.plan.devices;
    const devices = planned ?? (await devicesHere(config, this.plan));
    const workerArgs = workerArgsOf(hold.path, this.plan.workerArgs);
    const trace = openTrace(config.trace, {
      resumed: resumed !== undefined || outlived.former !== undefined,
      notify: this.say,
    });
    const requests = this.requests();
    try {
      const job = {
        ...{ config, devices, workerArgs, combiner, trace, outlived },
        logDir: join(hold.path, 'logs'),
        notify: (line: string) => this.say(line, true),
        onState: (change: Partial<JobState>) => recorder.job(state, change),
        onIncident: (incident: Incident) => {
          recorder.incident(incident);
          const bitwise = config.distributed.bitwise !== undefined;
          this.say(describeIncident(incident, { workers: config.workers, bitwise }), true);
        },
        lost,
        onResizable: (resize: (workers: number) => void) => void (this.resizeJob = resize),
        ...requests,
      };
      const run = { folder: hold.path, config, images: this.plan.images };
      const underWay = outlived.former !== undefined;
      const onMissed = (line: string) => combiner.amend(line);
      await withLogging(run, { notify: this.say, lost: hold.lost, underWay, onMissed }, () => runJob(job));
    } finally {
      trace?.close();
    }
  }

  /** Requests to end the job: signals to this process, and orders of those who follow. */
  private requests(): { ending: AbortSignal; stopping: StopSource } {
    const { endAt, graceSeconds } = this.plan;
    const maxSeconds = endAt === undefined ? undefined : process.uptime() + (endAt - Date.now()) / 1000;
    const { ending, stopping } = endRequests({ graceSeconds, maxSeconds });
    return {
      ending: AbortSignal.any([ending, this.end.signal]),
      stopping: (listener) => {
        const following = stopping(listener);
        this.stops.add(listener);
        const { stoppedBy } = this;
        if (stoppedBy !== undefined) queueMicrotask(() => listener(stoppedBy));
        return {
          stop: () => {
            following.stop();
            this.stops.delete(listener);
          },
        };
      },
    };
  }

  private obey(order: FeedOrder): void {
    if ('stop' in order) this.stop(order.stop);
    else if ('end' in order) this.end.abort(order.end satisfies EndCause);
    else if ('workers' in order) this.resize(order.workers);
  }

  private stop(by: string): void {
    this.stoppedBy = by;
    for (const stop of this.stops) stop(by);
  }

  private resize(resized: number): void {
    try {
      const { devices } = this.plan;
      if (devices?.gpu && resized > devices.perWorker.length)
        throw new UserError('GPU_UNAVAILABLE', `the job has ${devices.perWorker.length} GPUs, one a worker`);
      if (!this.resizeJob)
        throw new UserError('RUN_BUSY', 'the job is only beginning: ask again in a moment');
      this.resizeJob(resized);
      this.feed?.publish({ resized });
      this.say(`workers asked for: ${resized}`);
    } catch (error) {
      this.feed?.publish({ resized, refusal: messageOf(error) });
    }
  }
}

interface Parts {
  config: Config;
  hold: RunFolder;
  recorder: RunRecorder;
  combiner: RunCombiner;
  state: JobStateFile;
  outlived: Outlived;
  lost: AbortSignal;
}

/** Ends of the hold on a run folder: another process has taken the job over, or the folder is lost to the job. */
function endsOf(hold: RunFolder, token: string): { taken: AbortSignal; lost: AbortSignal } {
  const [taken, lost] = [new AbortController(), new AbortController()];
  hold.lost.addEventListener('abort', () => {
    const same = readJobState(hold.path)?.secret === token;
    (same ? taken : lost).abort(hold.lost.reason);
  });
  return { taken: taken.signal, lost: lost.signal };
}

/** Devices of this host for as many workers as the job has, which another host has planned. */
async function devicesHere({ backend, workers, distributed }: Config, { devices }: JobPlan) {
  const requireGpu = devices?.gpu ?? false;
  const { bindCores } = distributed;
  return devicesOf(backend).plan({ gpus: requireGpu ? workers : undefined, workers, requireGpu, bindCores });
}

/** The run's own recipe, as whoever has planned the job has written it. */
async function readConfig(folder: string): Promise<Config> {
  const file = join(folder, 'config.yaml');
  await importPlugins({ file });
  return loadConfig({ file });
}

/** The error of an agent that has nothing to do, for its log. */
export function isNeedless(error: unknown): boolean {
  return error instanceof PodDistError && error.code === 'RUN_BUSY';
}
