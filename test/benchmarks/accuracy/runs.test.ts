import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Experiment } from '../../../benchmarks/accuracy/experiments.js';
import { Results } from '../../../benchmarks/accuracy/results.js';
import { train } from '../../../benchmarks/accuracy/runs.js';
import { table } from '../../../benchmarks/accuracy/summary.js';

const out = mkdtempSync(join(tmpdir(), 'pod-dist-accuracy-'));
afterAll(() => rmSync(out, { recursive: true }));

const short = ['epochs=1', 'loss.name=softmax'];
const experiment = (...groups: Experiment['groups']): Experiment => ({
  recipe: 'digits',
  threshold: 0.95,
  groups,
});

describe('experiments', { timeout: 120_000 }, () => {
  it('train a diverging run once, and count it as a result', async () => {
    const lines: string[] = [];
    const both = experiment(
      { label: 'calm', settings: [...short, 'learningRate.rate=0.1'], seeds: 1 },
      { label: 'wild', settings: [...short, 'learningRate.rate=1e6'], seeds: 1 },
    );
    const file = join(out, 'results.jsonl');
    const trainBoth = (folder: string) => {
      const results = new Results({ name: 'two', out: folder, file });
      const notify = (line: string) => lines.push(line);
      return train('two', both, results, { launch: ['--backend=wasm'], atOnce: 1, notify }).then(
        () => results,
      );
    };
    await trainBoth(out);
    expect(lines).toEqual([
      'two: run 1 of 2: calm, seed 1',
      'two: run 2 of 2: wild, seed 1',
      expect.stringMatching(/^two: error (LOSS|GRADIENT)_NOT_FINITE: /),
    ]);
    // Results from the run folders alone, and from the results file alone.
    const apart = [new Results({ name: 'two', out }), await trainBoth(join(out, 'elsewhere'))];
    expect(lines).toHaveLength(3);
    for (const results of apart) {
      const [, , calm, wild] = table(both, results).split('\n');
      expect(calm).toMatch(/^\| calm \| 1 \| {2}\| [\d.]+ % \|/);
      expect(wild).toMatch(/^\| wild \| 1 \| 1 \| {2}\|/);
    }
    expect(apart[0].of(both.groups[0])).toEqual(apart[1].of(both.groups[0]));
    expect(apart[1].of({ ...both.groups[0], settings: ['epochs=2'] })).toEqual([]);
  });

  it('stop at a run that fails otherwise', async () => {
    const broken = experiment({ label: 'broken', settings: ['loss.name=none'], seeds: 1 });
    const options = { launch: [], atOnce: 1, notify: () => {} };
    await expect(train('one', broken, new Results({ name: 'one', out }), options)).rejects.toThrow(
      /exit code 2: .*loss\.name/,
    );
  });

  it('train several runs at a time, and stop them all after a failure', async () => {
    const lines: string[] = [];
    const options = { launch: ['--backend=wasm'], atOnce: 2, notify: (line: string) => lines.push(line) };
    const pair = experiment({ label: 'pair', settings: short, seeds: 2 });
    const results = new Results({ name: 'pair', out });
    await train('pair', pair, results, options);
    expect(lines).toHaveLength(2);
    expect(results.of(pair.groups[0]).map(({ seed }) => seed)).toEqual([1, 2]);

    const long = experiment(
      { label: 'long', settings: ['epochs=10000'], seeds: 1 },
      { label: 'broken', settings: ['loss.name=none'], seeds: 1 },
      { label: 'never', settings: short, seeds: 1 },
    );
    const started = performance.now();
    await expect(train('long', long, new Results({ name: 'long', out }), options)).rejects.toThrow(
      /loss\.name/,
    );
    expect(performance.now() - started).toBeLessThan(60_000);
    expect(lines).toHaveLength(4);
  });

  it('reject a results file of another kind', () => {
    const file = join(out, 'other.jsonl');
    writeFileSync(file, '{"experiment":"two"}\n');
    expect(() => new Results({ name: 'two', out, file })).toThrow('other.jsonl, line 1');
  });
});
