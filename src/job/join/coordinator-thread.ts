import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { errorOfFailure } from '../coordinator/failure.js';
import { Coordinator } from '../coordinator/coordinator.js';
import { describeIncident, silentAfterMs, sizesOf, type ElasticOptions } from '../coordinator/reform.js';
import type { Config } from '../../config/schema.js';
import { endOf } from '../../record/job-end.js';
import { writeJobPlan } from '../../record/job-plan.js';
import { JobStateFile, readJobState, type JobState } from '../../record/job-state.js';
import { openDataset } from '../../data/index.js';
import { stepsPerEpoch } from '../../data/sampler.js';
import { messageOf, type PodDistError } from '../../util/errors.js';
import { tcpAddress } from '../../transport/addresses.js';
import { openTrace } from '../../trace/trace-file.js';
import { stepsOf } from '../../training/recovery-point.js';
import { RunLogging } from '../../logging/run-logging.js';
import { RunCombiner } from '../../record/combine.js';
import { keepLock } from '../../record/run-lock.js';
import { RunRecorder, type RunListener } from '../../record/run-record.js';
import { printable, printableLines } from '../../util/printable.js';
import { socketsBegin, socketsEnd, type WithSockets } from '../../transport/zmq/socket-thread.js';
import { writeNow } from '../../console/console.js';
import { Display } from '../../console/display.js';
import { noPlaceForSecret, PublishedSecret } from '../secret/published-secret.js';
import type { CoordinatorNews, OwnCoordinatorOptions } from './own-coordinator.js';

/** A socket that could not be bound is closed within this time. */
const closeWithinMs = 50;

/** Coordinator, run record and console of a job whose workers something else has started. */
async function coordinate(port: MessagePort, options: OwnCoordinatorOptions & WithSockets): Promise<void> {
  const tell = (news: CoordinatorNews) => port.postMessage(news);
  const { listenOn, port: tcpPort, worldSize, token, config } = options;
  const { distributed } = config;
  const { outDir, lockFile } = options;
  const lost = new AbortController();
  const hold = lockFile === undefined ? undefined : keepLock(outDir, lockFile, (error) => lost.abort(error));
  const record = options.evaluate ? undefined : await openRecord(options, lost.signal, hold?.isHeld);
  const { enabled } = config.elastic;
  const succession = enabled && record && hold ? resolve(outDir) : undefined;
  const combiner = new RunCombiner(record?.listeners ?? [], enabled && record !== undefined);
  const elastic = enabled && record ? elasticOptions(config, record.recorder, combiner) : undefined;
  let secret: PublishedSecret | undefined;
  socketsBegin(options);
  const coordinator = await Coordinator.start({
    host: listenOn,
    port: tcpPort,
    portAdvice: 'set another MASTER_PORT, the same for every rank',
    worldSize,
    token,
    transport: distributed.transport === 'tcp' ? 'tcp' : 'ipc',
    joinTimeoutMs: distributed.joinTimeoutSeconds * 1000,
    stallTimeoutMs: distributed.stallTimeoutSeconds * 1000,
    phaseTimeoutMs: distributed.phaseTimeoutSeconds * 1000,
    stallWarningMs: distributed.stallWarningSeconds * 1000,
    onNotice: say,
    onAssembled: () => secret?.remove(),
    readPart: combiner.readPart,
    combine: combiner.combineRead,
    onRecord: (rank, news) => combiner.record(news, rank),
    onTrace: (part) => record?.trace?.add(part),
    onGroup: (group) => record?.recorder.job(record.state, group),
    onReplay: (before, now, from) =>
      combiner.replay({
        sameBits: distributed.bitwise !== undefined || before === now,
        from: from && stepsOf(from),
      }),
    elastic,
    succession,
  }).catch(async (error: unknown) => {
    await record?.close();
    throw error;
  });
  const keep = (change: Partial<JobState>) => {
    if (succession !== undefined) record?.recorder.job(record.state, change);
  };
  if (succession !== undefined && record) keepForOthers(options, record, keep);
  const stop = async () => {
    secret?.remove();
    await record?.close();
    await coordinator.stop();
  };
  if (options.publishAs !== undefined) {
    secret = PublishedSecret.publish(options.publishAs, token);
    if (!secret) {
      await stop();
      throw noPlaceForSecret();
    }
  }
  process.on('uncaughtException', (error) =>
    coordinator.abort('COORDINATOR_FAILED', `the coordinator failed: ${messageOf(error)}`),
  );
  const taken = new Promise<'taken'>((resolve) => {
    const onLost = () => {
      const { code, message } = lost.signal.reason as PodDistError;
      if (succession !== undefined && readJobState(outDir)?.secret === token) resolve('taken');
      else coordinator.abort(code, message);
    };
    if (lost.signal.aborted) onLost();
    else lost.signal.addEventListener('abort', onLost);
  });
  tell({ type: 'listening' });
  port.once('message', () => void stop().then(end));
  const finished = coordinator.finished.then(() => undefined);
  const failure = await Promise.race([finished, coordinator.failure, taken]);
  secret?.remove();
  if (failure === 'taken') {
    say('another process has taken the job over');
    await record?.close();
    tell({ type: 'taken' });
    return coordinator.stop();
  }
  const ended = failure && endOf(errorOfFailure(failure));
  if (succession !== undefined || ended) record?.recorder.job(record.state, { secret: undefined, ended });
  const closed = record?.close(failure && errorOfFailure(failure));
  if (ended) tell({ type: 'failed', ended });
  const missed = await closed;
  if (ended) return;
  if (missed !== undefined) combiner.amend(missed);
  tell({ type: 'finished', missed });
}

/** Writes what another process needs to take the job over. */
function keepForOthers(
  { config, outDir, listenOn, port, reachableAs, token, resumed }: OwnCoordinatorOptions,
  { images, stepsPerEpoch }: { images: number; stepsPerEpoch: number },
  keep: (change: Partial<JobState>) => void,
): void {
  writeJobPlan(outDir, {
    ...{ workerArgs: [], kept: true, resumed },
    ...{ name: config.name, epochs: config.epochs, images, stepsPerEpoch },
    ...{ graceSeconds: 30, made: false },
  });
  const address = tcpAddress(listenOn === '*' ? '127.0.0.1' : listenOn, port);
  keep({ address, listensOn: listenOn, reachableAs, secret: token, ended: undefined });
}

/** How the job goes on after the loss of a worker: whoever keeps the worker's place starts another one. */
function elasticOptions(config: Config, recorder: RunRecorder, combiner: RunCombiner): ElasticOptions {
  const { faultsPerWorkerHour, lastCallSeconds } = config.elastic;
  const about = { workers: config.workers, bitwise: config.distributed.bitwise !== undefined };
  return {
    ...{ sizes: sizesOf(config, config.workers), faultsPerWorkerHour, silentMs: silentAfterMs },
    spares: Infinity,
    lastCallMs: lastCallSeconds * 1000,
    recordedSteps: () => combiner.recordedSteps,
    startWorker: () => undefined,
    endWorker: () => {},
    onIncident: (incident) => {
      recorder.incident({ ...incident, ...combiner.lastReplay });
      say(describeIncident(incident, about));
    },
  };
}

function say(line: string): void {
  writeNow(2, `${printable(line)}\n`);
}

async function openRecord(
  { config, outDir, resumed }: OwnCoordinatorOptions,
  lost: AbortSignal,
  isHeld?: () => boolean,
) {
  const dataset = await openDataset(config.data, { seed: config.seed, notify: () => {} });
  await dataset.close();
  const images = dataset.labels.train.length;
  const steps = stepsPerEpoch(images, config);
  const display = new Display({
    epochs: config.epochs,
    stepsPerEpoch: steps,
    resumed,
    outDir,
    // A thread's process.stdout waits for the main thread, which may be blocked in a collective.
    write: (text) => writeNow(1, printableLines(text)),
  });
  const trace = openTrace(config.trace, { resumed: resumed !== undefined, notify: say });
  const recorder = RunRecorder.open(outDir, config, resumed, isHeld);
  const listeners: RunListener[] = [recorder, display];
  const logging = await RunLogging.start({ folder: outDir, config, images }, { notify: say, lost });
  const close = async (error?: unknown): Promise<string | undefined> => {
    recorder.close();
    trace?.close();
    await logging?.close(error);
    return logging?.missed;
  };
  const state = new JobStateFile(outDir);
  return { listeners, recorder, state, trace, close, images, stepsPerEpoch: steps };
}

const port = parentPort as MessagePort;
const options = workerData as OwnCoordinatorOptions & WithSockets;

function end(): void {
  socketsEnd(options);
  port.close();
}

coordinate(port, options).catch(async (error: unknown) => {
  const news: CoordinatorNews = { type: 'failed', ended: endOf(error) };
  port.postMessage(news);
  await delay(closeWithinMs);
  end();
});
