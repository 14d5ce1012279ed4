import { describe, expect, it } from 'vitest';
import { emptyTotals, type EvaluationTotals } from '../../src/evaluation/totals.js';
import { RunCombiner } from '../../src/record/combine.js';
import { readResult, type EpochPart, type FinishPart } from '../../src/record/reported.js';

function totals(total: number, correct: number, cosineSum: number): EvaluationTotals {
  return { ...emptyTotals(2), total, correct, classTotal: [total, 0], classCorrect: [correct, 0], cosineSum };
}

const times = [
  { images: 30, seconds: 1, loaderSeconds: 0.25, exposedSeconds: 0.1 },
  { images: 20, seconds: 1, loaderSeconds: 0.25, exposedSeconds: 0.4 },
];
const parts: EpochPart[] = [
  {
    epoch: 4,
    trainLoss: 0.5,
    seconds: 1,
    totals: totals(3, 2, 2.5),
    times: times[0],
  },
  {
    epoch: 4,
    trainLoss: 0.5,
    seconds: 3,
    totals: totals(2, 2, 1.5),
    times: times[1],
  },
];

const finish: FinishPart = {
  backend: 'wasm',
  device: 'CPU',
  parameters: 9,
  epochs: 5,
  times: { images: 150, seconds: 2, loaderSeconds: 1, exposedSeconds: 0.25 },
  centroidsSha256: 'c',
  weightsSha256: 'a'.repeat(64),
  seconds: 2,
};

const saved = { name: 'epoch-0001', shards: [{ bytes: 8, sha256: '0'.repeat(64) }], sums: [0.5] };

function follow(): { combiner: RunCombiner; heard: unknown[] } {
  const heard: unknown[] = [];
  const combiner = new RunCombiner([
    {
      step: (record) => heard.push(record),
      epoch: (record, counted, times) => heard.push([record, counted], times),
      evaluating: (images) => heard.push(images),
      finished: (report) => heard.push(report),
    },
  ]);
  return { combiner, heard };
}

describe('RunCombiner with checkpoints', () => {
  it('reports each checkpoint of rank 0 once, in order, and rejects others', () => {
    const told: number[] = [];
    const combiner = new RunCombiner([{ checkpoint: ({ epochs }) => void told.push(epochs) }]);
    const record =
      (epochs: unknown, { rank = 0, steps = 0, name = 'epoch-0002' } = {}) =>
      () =>
        combiner.record({ kind: 'checkpoint', name, epochs, steps }, rank);
    record(2)();
    const names = ['', '../epoch-0003', 'epoch-x', `step-${'0'.repeat(50)}`];
    for (const wrong of [
      ...[record(2), record(1), record(1, { steps: 9 }), record(3, { rank: 1 }), record(-1), record('4')],
      ...names.map((name) => record(3, { name })),
    ])
      expect(wrong).toThrow(expect.objectContaining({ code: 'PROTOCOL_ERROR' }));
    record(2, { steps: 7, name: 'step-00000037' })();
    record(4)();
    expect(told).toEqual([2, 2, 4]);
  });

  it('combines the files of all ranks of the same checkpoint', () => {
    const combiner = new RunCombiner([]);
    const sha256 = '0'.repeat(64);
    const part = (name: string) => ({ name, shards: [{ bytes: 8, sha256 }], sums: [0.5] });
    const saved = [part('step-00000012'), part('step-00000012')];
    expect(saved.map((one) => combiner.readPart('saved', one))).toEqual(saved);
    expect(combiner.combine('saved', saved)).toEqual(saved);
    expect(() => combiner.combine('saved', [part('step-00000012'), part('epoch-0001')])).toThrow(
      'rank 0 saves step-00000012, rank 1 epoch-0001',
    );
    for (const wrong of [{ ...part('x') }, { ...part('epoch-0001'), shards: [{ bytes: -1, sha256 }] }])
      expect(() => combiner.readPart('saved', wrong)).toThrow(/is not pod-dist's/);
  });

  it('lists checkpoints that could not be written in the report', () => {
    const told: string[] = [];
    const unwritten = ['cannot write report.json'];
    const combiner = new RunCombiner([{ missed: ({ message }) => void told.push(message), unwritten }]);
    combiner.combine('epoch', parts);
    combiner.record({ kind: 'missed', message: 'cannot write epoch-0001' });
    expect(told).toEqual(['cannot write epoch-0001']);
    expect(combiner.combine('finish', [finish])).toMatchObject({
      missed: ['cannot write epoch-0001', 'cannot write report.json'],
    });
  });
});

describe('RunCombiner with repeated steps', () => {
  const step = (number: number, loss: number) => ({
    ...{ kind: 'step', epoch: 0, step: number, loss, lr: 0.1, samplesPerSecond: 9 },
  });

  it('records each step once, and rejects a repeated step with another loss', () => {
    const told: number[] = [];
    const combiner = new RunCombiner([{ step: (record) => void told.push(record.step) }], true);
    for (const number of [0, 1, 2]) combiner.record(step(number, number / 3));
    expect(() => combiner.record(step(1, 1 / 3))).toThrow(/out of turn/);
    combiner.replay({ sameBits: true });
    for (const number of [1, 2, 3]) combiner.record(step(number, number / 3));
    expect(told).toEqual([0, 1, 2, 3]);
    expect(() => combiner.record(step(2, 2 / 3 + Number.EPSILON))).toThrow(
      expect.objectContaining({ code: 'SILENT_CORRUPTION' }),
    );
    combiner.replay({ sameBits: false });
    combiner.record(step(2, 2 / 3 + Number.EPSILON));
    combiner.record(step(4, 4 / 3));
    combiner.replay({ sameBits: true });
    expect(() => combiner.record(step(4, 1))).toThrow(/had the loss/);
  });

  it('records epochs and checkpoints of repeated steps once', () => {
    const { combiner, heard } = follow();
    const result = combiner.combine('epoch', parts);
    combiner.record({ kind: 'checkpoint', name: 'epoch-0005', epochs: 5, steps: 0 });
    const before = heard.length;
    combiner.replay({ sameBits: true });
    expect(combiner.combine('epoch', parts)).toEqual(result);
    combiner.record({ kind: 'checkpoint', name: 'epoch-0005', epochs: 5, steps: 0 });
    expect(heard.length).toBe(before);
  });
});

describe('RunCombiner', () => {
  it('adds the counts of an epoch over the ranks', () => {
    const { combiner, heard } = follow();
    const result = combiner.combine('epoch', parts);
    const record = {
      kind: 'epoch',
      epoch: 4,
      trainLoss: 0.5,
      evalCorrect: 4,
      evalTotal: 5,
      evalAccuracy: 0.8,
      perClassAccuracy: [0.8, 0],
      meanCosine: 0.8,
      seconds: 3,
      exposedShare: 0.25,
    };
    expect(result).toEqual({ record, totals: totals(5, 4, 4) });
    expect(heard).toEqual([[record, totals(5, 4, 4)], { kind: 'ranks', epoch: 4, ranks: times }]);
  });

  it("makes the report from the last epoch and every rank's device", () => {
    const { combiner, heard } = follow();
    combiner.combine('epoch', parts);
    const report = combiner.combine('finish', [
      finish,
      { ...finish, device: 'GPU', seconds: 4, times: { ...finish.times, images: 50, exposedSeconds: 0.75 } },
    ]);
    expect(report).toMatchObject({
      worldSize: 2,
      devices: ['CPU', 'GPU'],
      evalCorrect: 4,
      evalTotal: 5,
      evalAccuracy: 0.8,
      samplesPerSecond: 100,
      exposedShare: 0.25,
      seconds: 4,
      weightsSha256: finish.weightsSha256,
    });
    expect(heard[2]).toEqual(report);
  });

  it('passes steps and evaluated images on, and rejects other records', () => {
    const { combiner, heard } = follow();
    const step = { kind: 'step', epoch: 1, step: 1, loss: 1, lr: 0.1, samplesPerSecond: 9 };
    combiner.record(step);
    combiner.record({ kind: 'evaluated', images: 45 });
    expect(heard).toEqual([step, 45]);
    expect(() => combiner.record({ kind: 'other' })).toThrow(/what it records is not pod-dist's/);
    expect(() => combiner.record({})).toThrow(/what it records is not pod-dist's/);
  });

  it('rejects unknown names, and an end before the first epoch', () => {
    const { combiner } = follow();
    for (const name of ['weights', 'toString', '']) {
      expect(() => combiner.readPart(name, {})).toThrow(`nothing is gathered under the name '${name}'`);
      expect(() => combiner.combineRead(name, [])).toThrow(`nothing is gathered under the name '${name}'`);
    }
    expect(() => combiner.combine('finish', [finish])).toThrow(/before their first epoch/);
  });

  it('gives results that readResult accepts unchanged', () => {
    const { combiner } = follow();
    const result = { epoch: combiner.combine('epoch', parts), saved: combiner.combine('saved', [saved]) };
    expect(readResult('epoch', structuredClone(result.epoch))).toEqual(result.epoch);
    expect(readResult('saved', structuredClone(result.saved))).toEqual(result.saved);
    combiner.record({ kind: 'missed', message: 'cannot write epoch-0001' });
    const report = combiner.combine('finish', [finish, finish]);
    expect(readResult('finish', structuredClone(report))).toEqual(report);
    expect(readResult('evaluation', null)).toBeNull();
    for (const wrong of [undefined, {}, { ...report, worldSize: -1 }, { ...report, missed: [1] }])
      expect(() => readResult('finish', wrong)).toThrow(
        /what the coordinator answers to 'finish' is not pod-dist's/,
      );
  });
});
