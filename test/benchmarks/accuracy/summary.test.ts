import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Experiment } from '../../../benchmarks/accuracy/experiments.js';
import { Results, type Result } from '../../../benchmarks/accuracy/results.js';
import { differences, table } from '../../../benchmarks/accuracy/summary.js';

const name = 'pair-workers';
const pair: Experiment = {
  recipe: 'digits',
  threshold: 0.5,
  groups: [1, 2].map((workers) => ({ label: `${workers}`, settings: [], workers, seeds: 2 })),
};

function result(workers: number, seed: number, accuracies: number[], stepLosses: number[]): Result {
  const about = { experiment: name, label: `${workers}`, settings: [], workers, seed };
  return { ...about, accuracies, stepLosses, trainLosses: [0.25], backend: 'wasm', seconds: 1 };
}

describe('the summary of an experiment', () => {
  let folder: string;
  let results: Results;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'pod-dist-summary-'));
    const file = join(folder, 'results.jsonl');
    const kept = [
      result(1, 1, [0.4, 0.5], [4, 2, 1]),
      result(1, 2, [0.6, 0.7], [8, 4, 2]),
      result(2, 1, [0.2, 0.4], [4, 2, 1.5]),
      result(2, 2, [0.4, 0.6], [8, 5, 2]),
    ];
    writeFileSync(file, kept.map((line) => JSON.stringify(line)).join('\n'));
    results = new Results({ name, out: folder, file });
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('compares the losses of runs with equal seeds', () => {
    expect(differences(pair, results, 2)).toBe(
      '2 against 1: 2.5e-1 over the first 2 steps, 5.0e-1 over all 3',
    );
  });

  it('lists mean, deviation, extremes, and epochs to the threshold', () => {
    const rows = table(pair, results).split('\n').slice(2);
    expect(rows).toEqual([
      '| 1 | 2 |  | 60.00 % | ± 14.14 % | 50.00 % | 70.00 % | 1.5 | 0.2500 |',
      '| 2 | 2 |  | 50.00 % | ± 14.14 % | 40.00 % | 60.00 % | 2.0 (1 never) | 0.2500 |',
    ]);
  });
});
