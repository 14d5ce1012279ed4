import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MlflowServer } from '../logging/mlflow-server.js';
import { readEvents } from '../logging/events.js';
import { until, Workplace } from './command.js';

describe('TensorBoard and MLflow logs of an elastic run', () => {
  const place = new Workplace();
  const server = new MlflowServer();
  beforeAll(async () => void (await server.start()));
  afterAll(async () => {
    await place.clear();
    await server.stop();
  });

  it('contain each step once after the coordinator was killed', async () => {
    const options = ['--backend', 'wasm', '--workers', '2', '--elastic', '--epochs', '6', '--out', 'run'];
    const tools = ['--log', 'tensorboard,mlflow', '--metrics', '0'];
    const run = place.start(['launch', ...options, ...tools, '--set', 'batchSize=240'], {
      MLFLOW_TRACKING_URI: server.url,
    });
    await until('steps', () => place.made('run') > 7 || undefined);
    const { agent } = JSON.parse(readFileSync(place.path('run', 'job', 'job.json'), 'utf8')) as {
      agent: { pid: number };
    };
    process.kill(agent.pid, 'SIGKILL');
    const { code, stderr } = await run.ended;
    expect(code, stderr).toBe(0);
    const { steps, epochs } = place.metrics('run');
    const values = steps.map(({ step, loss }) => [step, Math.fround(loss)]);
    expect(values).toHaveLength(36);
    const shown = readEvents(place.path('run', 'tensorboard'));
    const of = (tag: string) =>
      shown.filter((value) => value.tag === tag).map(({ step, scalar }) => [step, scalar]);
    expect(of('loss/total')).toEqual(values);
    expect(of('epoch/accuracy')).toEqual(
      epochs.map(({ evalAccuracy }, epoch) => [epoch * 6 + 5, Math.fround(evalAccuracy)]),
    );
    expect(shown.map(({ tag }) => tag)).toEqual(
      expect.arrayContaining(['incidents', 'evaluation/predictions', 'evaluation/confusion matrix']),
    );
    const [logged, ...others] = server.runs;
    expect(others).toEqual([]);
    expect(logged.info.status).toBe('FINISHED');
    const losses = logged.metrics.filter(({ key }) => key === 'loss/total');
    expect(losses.map(({ step, value }) => [step, value])).toEqual(
      steps.map(({ step, loss }) => [step, loss]),
    );
    expect([...server.files.keys()].some((name) => name.endsWith('/epoch-0006/checkpoint.json'))).toBe(true);
  });
});
