import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Experiment } from '../../../benchmarks/accuracy/experiments.js';
import type * as Runs from '../../../benchmarks/accuracy/runs.js';
import type * as Summary from '../../../benchmarks/accuracy/summary.js';

const folder = new URL('../../../dist/benchmarks/accuracy/', import.meta.url);
const { train } = (await import(new URL('runs.js', folder).href)) as typeof Runs;
const { table } = (await import(new URL('summary.js', folder).href)) as typeof Summary;

const out = mkdtempSync(join(tmpdir(), 'pod-dist-accuracy-'));
afterAll(() => rmSync(out, { recursive: true }));

const short = ['epochs=1', 'loss.name=softmax'];
const experiment = (...groups: Experiment['groups']): Experiment => ({
  recipe: 'digits',
  threshold: 0.95,
  groups,
});

describe('experiments', { timeout: 120_000 }, () => {
  it('count a run that diverges as a result, and train it once', async () => {
    const lines: string[] = [];
    const both = experiment(
      { label: 'calm', settings: [...short, 'learningRate.rate=0.1'], seeds: 1 },
      { label: 'wild', settings: [...short, 'learningRate.rate=1e18'], seeds: 1 },
    );
    const again = () => train('two', both, { out, launch: ['--backend=wasm'] }, (line) => lines.push(line));
    await again();
    expect(lines).toEqual([
      'two: run 1 of 2: calm, seed 1',
      'two: run 2 of 2: wild, seed 1',
      expect.stringMatching(/^two: error (LOSS|GRADIENT)_NOT_FINITE: /),
    ]);
    await again();
    expect(lines).toHaveLength(3);
    const [, , calm, wild] = table('two', both, out).split('\n');
    expect(calm).toMatch(/^\| calm \| 1 \| {2}\| [\d.]+ % \|/);
    expect(wild).toMatch(/^\| wild \| 1 \| 1 \| {2}\|/);
  });

  it('stop at a run that ends in any other way', async () => {
    const broken = experiment({ label: 'broken', settings: ['loss.name=none'], seeds: 1 });
    await expect(train('one', broken, { out, launch: [] }, () => {})).rejects.toThrow(
      /exit code 2: .*loss\.name/,
    );
  });
});
