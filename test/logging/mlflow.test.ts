import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Follower } from '../../src/logging/follower.js';
import { mlflow } from '../../src/logging/mlflow/index.js';
import { MlflowServer } from './mlflow-server.js';
import { RecordedRun } from './runs.js';

describe('the sink mlflow', () => {
  const before = { ...process.env };
  let server: MlflowServer;
  let recorded: RecordedRun;
  const said: string[] = [];
  const follower = () => new Follower('mlflow', mlflow, recorded.run, (line) => said.push(line));
  const sentSteps = () =>
    server.runs[0].metrics.filter(({ key }) => key === 'loss/nac').map(({ step }) => step);
  beforeEach(async () => {
    server = await new MlflowServer().start();
    recorded = new RecordedRun();
    said.length = 0;
    process.env.MLFLOW_TRACKING_URI = server.url;
    process.env.MLFLOW_EXPERIMENT_NAME = 'faces & more';
    process.env.MLFLOW_TRACKING_TOKEN = 'a-token';
  });
  afterEach(async () => {
    await server.stop();
    recorded.remove();
    process.env = { ...before };
  });

  it('creates one MLflow run with settings, curves, files and end status, and continues it on resume', async () => {
    recorded.steps(0, 15).epoch(0);
    const first = follower();
    await first.follow();
    await first.close({ code: 'STOPPED', message: 'stopped by SIGINT', kind: 'stopped' }, 1000);
    const [run] = server.runs;
    expect(run.info).toMatchObject({ status: 'KILLED', experiment_id: '1', run_name: expect.any(String) });
    expect(run.tags.get('pod-dist.ended')).toBe('STOPPED: stopped by SIGINT');
    recorded.resume({ epochs: 1, steps: 0 }).steps(15, 30).epoch(1).finish();
    await follower().close(undefined, 1000);
    expect(server.runs.length).toBe(1);
    expect(run.info.status).toBe('FINISHED');
    expect(run.params.get('data.name')).toBe('digits');
    const accuracies = run.metrics.filter(({ key }) => key === 'epoch/accuracy');
    expect(accuracies.map(({ step, value }) => [step, value])).toEqual([
      [14, 0.75],
      [29, 0.75],
    ]);
    const times = run.metrics.filter(({ key }) => key === 'loss/total').map(({ timestamp }) => timestamp);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(Math.abs(Date.now() - times[29])).toBeLessThan(10_000);
    const report = readFileSync(join(recorded.folder, 'report.json'));
    expect(server.files.get(`1/${run.info.run_id}/artifacts/report.json`)).toEqual(report);
    expect(new Set(server.authorizations)).toEqual(new Set(['Bearer a-token']));
    expect(said).toEqual([]);
  });

  it('sends later what an unreachable server has missed, and reports that once', async () => {
    await server.stop();
    recorded.steps(0, 5);
    const first = follower();
    await first.open();
    await first.follow();
    await first.close({ code: 'STOPPED', message: 'stopped', kind: 'stopped' }, 500);
    expect(said).toEqual([
      expect.stringMatching(/^mlflow: http:\S+ cannot be reached: .*; the training goes on/),
      expect.stringMatching(/^mlflow does not have all of the run: .* waits in /),
    ]);
    await server.start();
    const second = follower();
    await second.follow();
    await server.stop();
    recorded.steps(5, 9);
    await second.follow();
    await server.start();
    await second.close(undefined, 5000);
    expect(sentSteps()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(said.slice(2)).toEqual([expect.stringContaining('cannot be reached'), 'mlflow is there again']);
  });

  it('sends nothing twice if an answer was lost', async () => {
    recorded.steps(0, 5);
    const lost = follower();
    await lost.open();
    const place = join(recorded.folder, 'log', 'mlflow.json');
    const older = readFileSync(place);
    await lost.follow();
    writeFileSync(place, older);
    recorded.steps(5, 7);
    await follower().follow();
    expect(sentSteps()).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });

  it('rejects an MLFLOW_TRACKING_URI that is no server', async () => {
    process.env.MLFLOW_TRACKING_URI = 'sqlite:///m.db';
    await expect(follower().open()).rejects.toMatchObject({ code: 'ENVIRONMENT_INVALID' });
  });
});
