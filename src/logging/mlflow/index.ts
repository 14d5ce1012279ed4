import { readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { z } from 'zod';
import type { JobEnd } from '../../record/job-end.js';
import type { Report } from '../../record/records.js';
import { readRegularFile } from '../../util/regular-file.js';
import { scalarsOfEpoch, scalarsOfStep, type Scalar } from '../scalars.js';
import { flatSettings } from '../settings.js';
import type { LogEntry, LoggedRun, Sink, SinkKind, SinkStart } from '../sink.js';
import { MlflowClient, MlflowError, serverOf } from './client.js';

/** What MLflow takes at once, at most. */
const mostMetrics = 1000;
const mostParams = 100;
const mostParamLength = 6000;
const mostFileBytes = 64 * 2 ** 20;
const artefacts = ['config.yaml', 'evaluation.json', 'report.json'];

/** Curves that tell which steps and epochs the server has. */
const ofSteps = 'loss/total';
const ofEpochs = 'epoch/train_loss';

const keptSchema = z.object({ runId: z.string(), params: z.boolean() });

interface ServerRun {
  info: { run_id: string; artifact_uri?: string };
  data?: { metrics?: { key: string; step?: number | string }[] };
}

interface Metric {
  key: string;
  value: number;
  timestamp: number;
  step: number;
}

/**
 * Sends a run to an MLflow tracking server, as one run there, whatever number of processes make it.
 *
 * Which steps the server has is asked of the server itself, so that nothing comes twice where an answer was lost or a
 * process has ended. MLflow cannot take a value back: steps that are made again after a resume stay as they were sent.
 */
class Mlflow implements Sink {
  private readonly told = new Set<string>();

  private constructor(
    private readonly run: LoggedRun,
    private readonly client: MlflowClient,
    private readonly there: ServerRun,
    private readonly say: (line: string) => void,
    /** The last step, and the last step at the end of an epoch, that the server has. */
    private sent: { step: number; epoch: number },
  ) {}

  static async open(run: LoggedRun, start: SinkStart): Promise<Mlflow> {
    const client = new MlflowClient(serverOf(process.env));
    const { data: kept } = keptSchema.safeParse(start.kept);
    const known = kept && (await findRun(client, kept.runId));
    const there = known ?? (await createRun(client, run));
    const { run_id: runId } = there.info;
    if (known) await client.post('runs/update', { run_id: runId, status: 'RUNNING' });
    else start.keep({ runId, params: false });
    if (!known || !kept?.params) {
      const params = [...flatSettings(run.config)].map(([key, value]) => ({
        key,
        value: String(value).slice(0, mostParamLength),
      }));
      for (let first = 0; first < params.length; first += mostParams)
        await client.post('runs/log-batch', {
          run_id: runId,
          params: params.slice(first, first + mostParams),
        });
      start.keep({ runId, params: true });
    }
    const lastOf = (wanted: string) =>
      Number(there.data?.metrics?.find(({ key }) => key === wanted)?.step ?? -1);
    const sent = { step: lastOf(ofSteps), epoch: lastOf(ofEpochs) };
    return new Mlflow(run, client, there, start.say, sent);
  }

  async write(entries: readonly LogEntry[]): Promise<void> {
    let metrics: Metric[] = [];
    let sent = this.sent;
    const flush = async () => {
      if (metrics.length > 0)
        await this.client.post('runs/log-batch', { run_id: this.there.info.run_id, metrics });
      metrics = [];
      this.sent = sent;
    };
    for (const { record, time, at } of entries) {
      const scalars = scalarsOf({ record, time, at }, this.run, sent);
      if (metrics.length + scalars.length > mostMetrics) await flush();
      const timestamp = Math.round(time);
      for (const [key, value] of scalars) metrics.push({ key, value, timestamp, step: at });
      if (record.kind === 'step') sent = { ...sent, step: Math.max(sent.step, at) };
      if (record.kind === 'epoch') sent = { ...sent, epoch: Math.max(sent.epoch, at) };
    }
    await flush();
    const report = entries.map(({ record }) => record).findLast(({ kind }) => kind === 'report');
    if (report?.kind === 'report') await this.tag(report.report);
  }

  async close(ended?: JobEnd): Promise<void> {
    await this.sendFiles();
    const status = ended === undefined ? 'FINISHED' : ended.kind === 'failure' ? 'FAILED' : 'KILLED';
    const { run_id: runId } = this.there.info;
    if (ended) await this.setTag('pod-dist.ended', `${ended.code}: ${ended.message}`.slice(0, 5000));
    await this.client.post('runs/update', { run_id: runId, status, end_time: Date.now() });
  }

  private async tag({ backend, devices, weightsSha256, parameters }: Report): Promise<void> {
    await this.setTag('pod-dist.backend', backend);
    await this.setTag('pod-dist.devices', [...new Set(devices)].join(', ').slice(0, 5000));
    await this.setTag('pod-dist.parameters', String(parameters));
    await this.setTag('pod-dist.weights_sha256', weightsSha256);
  }

  private async setTag(key: string, value: string): Promise<void> {
    await this.client.post('runs/set-tag', { run_id: this.there.info.run_id, key, value });
  }

  /** Sends the run's files, and the manifest of its newest checkpoint, where the server takes artefacts. */
  private async sendFiles(): Promise<void> {
    const { artifact_uri: place = '' } = this.there.info;
    const [, folder] = /^mlflow-artifacts:(?:\/\/[^/]*)?\/*(.*)$/.exec(place) ?? [];
    if (folder === undefined) {
      this.tell(
        `mlflow: artefacts are not sent, since the server does not take them itself (they are at ${place})`,
      );
      return;
    }
    const checkpoint = newestCheckpoint(this.run.folder);
    for (const name of [...artefacts, ...(checkpoint ? [checkpoint] : [])]) {
      const content = read(join(this.run.folder, name));
      if (content) await this.client.put(`${folder}/${name}`, content);
    }
  }

  private tell(line: string): void {
    if (!this.told.has(line)) this.say(line);
    this.told.add(line);
  }
}

function scalarsOf(
  { record, at }: LogEntry,
  run: LoggedRun,
  sent: { step: number; epoch: number },
): readonly Scalar[] {
  switch (record.kind) {
    case 'step':
      return at > sent.step ? scalarsOfStep(record, run) : [];
    case 'epoch':
      return at > sent.epoch ? scalarsOfEpoch(record) : [];
    case 'incident':
      return [['recovery/seconds', record.seconds]];
    case 'evaluation': {
      const { accuracy, meanCosine, topK } = record.evaluation;
      const values = { accuracy, mean_cosine: meanCosine, [`top_${topK.k}_accuracy`]: topK.accuracy };
      return Object.entries(values).flatMap(([name, value]) =>
        value === null ? [] : [[`evaluation/${name}`, value] as const],
      );
    }
    case 'report':
      return [['run/images_per_second', record.report.samplesPerSecond]];
    case 'ranks':
      return [];
  }
}

async function findRun(client: MlflowClient, runId: string): Promise<ServerRun | undefined> {
  try {
    return (await client.get<{ run: ServerRun }>('runs/get', { run_id: runId })).run;
  } catch (error) {
    if (error instanceof MlflowError && error.code === 'RESOURCE_DOES_NOT_EXIST') return undefined;
    throw error;
  }
}

async function createRun(client: MlflowClient, { folder }: LoggedRun): Promise<ServerRun> {
  const tags = { 'mlflow.source.name': 'pod-dist', 'mlflow.source.type': 'LOCAL', 'pod-dist.folder': folder };
  const made = await client.post<{ run: ServerRun }>('runs/create', {
    experiment_id: await experimentOf(client),
    run_name: basename(folder),
    start_time: Date.now(),
    tags: Object.entries(tags).map(([key, value]) => ({ key, value })),
  });
  return made.run;
}

/** The experiment that `MLFLOW_EXPERIMENT_ID` or `MLFLOW_EXPERIMENT_NAME` says, else MLflow's `Default`. */
async function experimentOf(client: MlflowClient): Promise<string> {
  const { MLFLOW_EXPERIMENT_ID: id, MLFLOW_EXPERIMENT_NAME: name = 'Default' } = process.env;
  if (id) return id;
  try {
    const found = await client.get<{ experiment: { experiment_id: string } }>('experiments/get-by-name', {
      experiment_name: name,
    });
    return found.experiment.experiment_id;
  } catch (error) {
    if (!(error instanceof MlflowError && error.code === 'RESOURCE_DOES_NOT_EXIST')) throw error;
    const made = await client.post<{ experiment_id: string }>('experiments/create', { name });
    return made.experiment_id;
  }
}

/** Manifest of the checkpoint that was written last, from the run folder on. */
function newestCheckpoint(folder: string): string | undefined {
  const timeOf = (name: string) => statSync(join(folder, name), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  try {
    return readdirSync(join(folder, 'checkpoints'))
      .map((name) => join('checkpoints', name, 'checkpoint.json'))
      .filter((file) => timeOf(file) > 0)
      .sort((a, b) => timeOf(b) - timeOf(a))[0];
  } catch {
    return undefined;
  }
}

function read(file: string): Buffer | undefined {
  try {
    return readRegularFile(file, { mostBytes: mostFileBytes });
  } catch {
    return undefined;
  }
}

export const mlflow: SinkKind = { open: (run, start) => Mlflow.open(run, start) };
