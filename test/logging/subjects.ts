import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { sinks } from '../../src/logging/sinks.js';
import { MlflowServer } from './mlflow-server.js';
import { readEvents } from './events.js';

/** A tool that shows a run, and access to what it shows. */
export interface Subject {
  /** Starts the tool, before the sinks. */
  begin?(): Promise<void>;
  end?(): Promise<void>;
  /** Receives a printed line; returns whether the line is expected. */
  hear?(line: string): boolean;
  /** Steps whose loss the tool shows, in its order. */
  steps(folder: string): Promise<number[]>;
  /** Names of all values that the tool shows after a run has ended. */
  names(folder: string): Promise<string[]>;
  /** Names that the tool must show for epochs, incidents, evaluation and report. */
  expected: readonly string[];
}

interface SentRun {
  run: { data: { metrics: { key: string }[] } };
}

/** Asks an MLflow server: the real one at `POD_DIST_MLFLOW`, else the one of the tests. */
function ofMlflow(): Subject {
  const before = { ...process.env };
  let server: MlflowServer | undefined;
  const get = async <T>(folder: string, path: string): Promise<T> => {
    const { kept } = JSON.parse(readFileSync(join(folder, 'log', 'mlflow.json'), 'utf8')) as {
      kept: { runId: string };
    };
    const address = `${process.env.MLFLOW_TRACKING_URI}/api/2.0/mlflow/${path}run_id=${kept.runId}`;
    return (await (await fetch(address)).json()) as T;
  };
  return {
    begin: async () => {
      const { POD_DIST_MLFLOW: real } = process.env;
      if (!real) server = await new MlflowServer().start();
      process.env.MLFLOW_TRACKING_URI = real ?? server?.url;
    },
    end: async () => {
      await server?.stop();
      process.env = before;
    },
    steps: async (folder) => {
      const path = 'metrics/get-history?metric_key=loss/total&';
      const { metrics } = await get<{ metrics: { step: number | string }[] }>(folder, path);
      return metrics.map(({ step }) => Number(step));
    },
    names: async (folder) => {
      const { run } = await get<SentRun>(folder, 'runs/get?');
      return run.data.metrics.map(({ key }) => key);
    },
    expected: [
      ...['epoch/accuracy', 'epoch/mean_cosine', 'recovery/seconds', 'evaluation/accuracy'],
      ...['evaluation/top_5_accuracy', 'run/images_per_second'],
    ],
  };
}

/** Asks the metrics of the sink, whose counters give only the number of steps. */
function ofPrometheus(): Subject {
  let url = '';
  const samples = async () => {
    const text = await (await fetch(url)).text();
    return [...text.matchAll(/^(\w+)(?:\{.*\})? (\S+)$/gm)];
  };
  return {
    hear: (line) => {
      const [, found] = /^metrics: (http\S+)$/.exec(line) ?? [];
      url = found ?? url;
      return found !== undefined;
    },
    steps: async () => {
      const found = (await samples()).find(([, name]) => name === 'pod_dist_steps_total');
      return Array.from({ length: Number(found?.[2]) }, (_, step) => step);
    },
    names: async () => (await samples()).map(([, name]) => name),
    expected: [
      ...['pod_dist_images_total', 'pod_dist_accuracy_ratio', 'pod_dist_mean_cosine', 'pod_dist_workers'],
      ...['pod_dist_incidents_total', 'pod_dist_rank_images_total', 'pod_dist_step_duration_seconds_bucket'],
    ],
  };
}

/** Every sink except opentelemetry, which a process can open only once, and copies, which shows no steps. */
export const subjects: Record<Exclude<keyof typeof sinks, 'opentelemetry' | 'copies'>, () => Subject> = {
  mlflow: ofMlflow,
  prometheus: ofPrometheus,
  tensorboard: () => {
    const eventsOf = (folder: string) => readEvents(join(folder, 'tensorboard'));
    return {
      steps: async (folder) =>
        eventsOf(folder)
          .filter(({ tag }) => tag === 'loss/total')
          .map(({ step }) => step),
      names: async (folder) => [...new Set(eventsOf(folder).map(({ tag }) => tag))],
      expected: [
        ...['epoch/accuracy', 'epoch/mean_cosine', 'incidents', 'report', 'settings'],
        ...['evaluation/confusion matrix', 'evaluation/predictions', 'evaluation/norm of the features'],
        ...['evaluation/cosine to the own centroid', '_hparams_/session_start_info'],
      ],
    };
  },
};
