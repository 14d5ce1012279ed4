import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { configSchema } from '../../src/config/schema.js';
import type { Evaluation } from '../../src/evaluation/schema.js';
import type { EpochRecord, StepRecord } from '../../src/record/records.js';
import { JobStateFile } from '../../src/record/job-state.js';
import { RunRecorder } from '../../src/record/run-record.js';

const config = configSchema.parse({
  data: { name: 'digits' },
  model: { name: 'small-cnn' },
  learningRate: { schedule: 'constant', rate: 0.1 },
});

function step(epoch: number, index: number): StepRecord {
  return {
    kind: 'step',
    epoch,
    step: index,
    loss: 1,
    nac: 0.5,
    sc: 0.5,
    delta: 0.05,
    lr: 0.1,
    samplesPerSecond: 10,
  };
}

function epochRecord(epoch: number): EpochRecord {
  const counts = {
    evalCorrect: 1,
    evalTotal: 2,
    evalAccuracy: 0.5,
    perClassAccuracy: [0.5],
    meanCosine: 0.9,
  };
  return { kind: 'epoch', epoch, trainLoss: 1, ...counts, seconds: 2 };
}

describe('RunRecorder', () => {
  let folder: string;
  const metrics = () =>
    readFileSync(join(folder, 'metrics.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { epoch: number });
  beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'))));
  afterEach(() => rmSync(folder, { recursive: true }));

  it('writes nothing once another job holds the folder', () => {
    let held = true;
    const former = RunRecorder.open(folder, config, undefined, () => held);
    former.step(step(0, 0));
    const { recorder } = RunRecorder.goOn(folder);
    former.step(step(0, 7));
    recorder.step(step(0, 1));
    held = false;
    former.step(step(0, 8));
    former.incident({ rank: 1 });
    former.evaluated({} as Evaluation);
    former.close();
    recorder.close();
    expect(metrics()).toEqual([step(0, 0), step(0, 1)]);
    expect(readdirSync(folder)).not.toContain('evaluation.json');
    expect(readdirSync(folder)).not.toContain('job');
  });

  it('does not make a folder again that was removed, and says what it could not write', () => {
    const run = join(folder, 'run');
    const said: string[] = [];
    RunRecorder.open(run, config).close();
    const { recorder } = RunRecorder.goOn(run, (line) => said.push(line));
    rmSync(run, { recursive: true });
    recorder.incident({ rank: 1 });
    recorder.job(new JobStateFile(run), { generation: 1 });
    recorder.close();
    expect(readdirSync(folder)).toEqual([]);
    const files = ['incidents.jsonl', 'job.json'].map((name) => join(run, 'job', name));
    expect(said).toEqual(files.map((file) => `cannot write ${file}: its folder is gone`));
    expect(recorder.unwritten).toEqual(said);
  });

  it('writes the resolved configuration, and a line for each record', () => {
    const recorder = RunRecorder.open(folder, config);
    recorder.step(step(0, 0));
    recorder.epoch(epochRecord(0));
    recorder.close();
    recorder.close();
    expect(configSchema.parse(parse(readFileSync(join(folder, 'config.yaml'), 'utf8')))).toEqual(config);
    expect(metrics()).toEqual([step(0, 0), epochRecord(0)]);
    expect(readdirSync(folder).sort()).toEqual(['checkpoints', 'config.yaml', 'logs', 'metrics.jsonl']);
  });

  it('keeps the records before a resumed epoch, and drops later ones', () => {
    const first = RunRecorder.open(folder, config);
    for (const epoch of [0, 1, 2]) {
      first.step(step(epoch, epoch));
      if (epoch < 2) first.epoch(epochRecord(epoch));
    }
    first.close();
    const second = RunRecorder.open(folder, config, { epochs: 2, steps: 0 });
    second.step(step(2, 2));
    second.close();
    expect(metrics().map(({ epoch }) => epoch)).toEqual([0, 0, 1, 1, 2]);
  });

  it('keeps the steps before a position in the middle of an epoch', () => {
    const first = RunRecorder.open(folder, config);
    for (const index of [0, 1, 2]) first.step(step(0, index));
    first.epoch(epochRecord(0));
    for (const index of [3, 4, 5]) first.step(step(1, index));
    first.epoch(epochRecord(1));
    first.close();
    const second = RunRecorder.open(folder, config, { epochs: 1, steps: 2 });
    second.step(step(1, 5));
    second.close();
    expect(metrics()).toEqual([
      ...[0, 1, 2].map((index) => step(0, index)),
      epochRecord(0),
      ...[3, 4, 5].map((index) => step(1, index)),
    ]);
  });
});
